#include "foreign_keys.hpp"

#include <algorithm>
#include <iterator>

#include <backstitch/base/ascii.hpp>

namespace backstitch::dsl {
namespace {

struct ForeignKey {
  std::string_view foreign;  ///< in lower case, without `_` and `-`
  std::string_view ours;     ///< an object that may have this key is one that the row is about
  std::string_view hint;     ///< empty: the key is only called otherwise
};

constexpr std::string_view method_and_path =
    "write the method and the path in one: \"http\": \"PUT /things/${saga.root}\"";
constexpr std::string_view own_key =
    "leave it out: the engine sends a key of its own, and `self.key` reads it";
constexpr std::string_view retry_policy = "write \"retry\": { \"maxAttempts\": 3 }";
constexpr std::string_view try_block =
    "put the step into the \"steps\" of a \"try\", and what follows a failure into its \"catch\"";
constexpr std::string_view order_of_steps =
    "leave it out: steps run in the order of the list, `switch` chooses and `parallel` runs side "
    "by side";

/// The first row that fits counts.
constexpr ForeignKey foreign_keys[] = {
    {"method", "http", method_and_path},
    {"verb", "http", method_and_path},
    {"url", "http", method_and_path},
    {"uri", "http", method_and_path},
    {"path", "http", method_and_path},
    {"endpoint", "http", method_and_path},
    {"route", "http", method_and_path},
    {"idempotencykey", "http", own_key},
    {"url", "baseUrl", ""},
    {"uri", "baseUrl", ""},
    {"host", "baseUrl", ""},
    {"endpoint", "baseUrl", ""},
    {"base", "baseUrl", ""},
    {"undo", "compensation", ""},
    {"compensate", "compensation", ""},
    {"compensatewith", "compensation", ""},
    {"compensator", "compensation", ""},
    {"rollback", "compensation", ""},
    {"revert", "compensation", ""},
    {"onrollback", "compensation", ""},
    {"cancel", "compensation", ""},
    {"if", "when", ""},
    {"condition", "when", ""},
    {"guard", "when", ""},
    {"unless", "when", ""},
    {"attempts", "retry", retry_policy},
    {"retries", "retry", retry_policy},
    {"maxattempts", "retry", retry_policy},
    {"maxretries", "retry", retry_policy},
    {"retrypolicy", "retry", retry_policy},
    {"backoff", "retry", retry_policy},
    {"attempts", "maxAttempts", ""},
    {"retries", "maxAttempts", ""},
    {"maxretries", "maxAttempts", ""},
    {"maximumattempts", "maxAttempts", ""},
    {"limit", "maxAttempts", ""},
    {"interval", "delay", ""},
    {"backoff", "delay", ""},
    {"initialinterval", "delay", ""},
    {"initialdelay", "delay", ""},
    {"intervalseconds", "delay", ""},
    {"wait", "delay", ""},
    {"multiplier", "factor", ""},
    {"backoffrate", "factor", ""},
    {"backoffcoefficient", "factor", ""},
    {"maxinterval", "maxDelay", ""},
    {"maximuminterval", "maxDelay", ""},
    {"maxbackoff", "maxDelay", ""},
    {"maxdelayseconds", "maxDelay", ""},
    {"nonretryable", "except", ""},
    {"nonretryableerrortypes", "except", ""},
    {"ignore", "except", ""},
    {"onerror", "try", try_block},
    {"catch", "try", try_block},
    {"rescue", "try", try_block},
    {"recover", "try", try_block},
    {"errorhandler", "try", try_block},
    {"fallback", "try", try_block},
    {"onerror", "onFailure", ""},
    {"catch", "onFailure", ""},
    {"rescue", "onFailure", ""},
    {"errorhandler", "onFailure", ""},
    {"onfail", "onFailure", ""},
    {"failure", "onFailure", ""},
    {"next", "try", order_of_steps},
    {"goto", "try", order_of_steps},
    {"end", "try", order_of_steps},
    {"transition", "try", order_of_steps},
    {"dependson", "try", order_of_steps},
    {"needs", "try", order_of_steps},
    {"else", "otherwise", ""},
    {"default", "otherwise", ""},
    {"then", "steps", ""},
    {"do", "steps", ""},
    {"tasks", "steps", ""},
    {"states", "steps", ""},
    {"activities", "steps", ""},
    {"stages", "steps", ""},
    {"actions", "steps", ""},
    {"id", "name", ""},
    {"title", "name", ""},
    {"data", "body", ""},
    {"json", "body", ""},
    {"payload", "body", ""},
    {"content", "body", ""},
    {"params", "query", ""},
    {"queryparams", "query", ""},
    {"parameters", "query", ""},
    {"parameters", "input", ""},
    {"params", "input", ""},
    {"args", "input", ""},
    {"arguments", "input", ""},
    {"inputs", "input", ""},
    {"with", "input", ""},
    {"result", "output", ""},
    {"returns", "output", ""},
    {"return", "output", ""},
    {"items", "in", ""},
    {"over", "in", ""},
    {"each", "in", ""},
    {"list", "in", ""},
    {"foreach", "in", ""},
    {"var", "as", ""},
    {"item", "as", ""},
    {"itemvariable", "as", ""},
    {"variable", "as", ""},
    {"concurrency", "maxConcurrency", ""},
    {"parallelism", "maxConcurrency", ""},
    {"maxparallel", "maxConcurrency", ""},
    {"deadline", "timeout", ""},
    {"timeoutseconds", "timeout", ""},
    {"ttl", "timeout", ""},
    {"errors", "codes", ""},
    {"errorequals", "codes", ""},
    {"class", "classes", ""},
    {"types", "classes", ""},
    {"outcome", "is", ""},
    {"result", "is", ""},
    {"then", "is", ""},
    {"class", "is", ""},
    {"statuscode", "status", ""},
    {"event", "signal", ""},
    {"message", "signal", ""},
    {"duration", "for", ""},
    {"seconds", "for", ""},
    {"delay", "for", ""},
    {"timestamp", "until", ""},
    {"at", "until", ""},
    {"time", "until", ""},
};

std::string plain(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '_' || c == '-') continue;
    out += lower_case(c);
  }
  return out;
}

}  // namespace

std::string hint_for_foreign_key(std::string_view key, const std::vector<std::string>& known) {
  if (key.starts_with("//") || plain(key) == "comment" || plain(key) == "comments")
    return "write \"x-comment\": keys that begin with x- are comments";
  const std::string name = plain(key);
  const auto row =
      std::find_if(std::begin(foreign_keys), std::end(foreign_keys), [&](const ForeignKey& one) {
        return one.foreign == name &&
               std::find(known.begin(), known.end(), one.ours) != known.end();
      });
  if (row == std::end(foreign_keys)) return {};
  return row->hint.empty() ? "it is called `" + std::string(row->ours) + "` here"
                           : std::string(row->hint);
}

}  // namespace backstitch::dsl
