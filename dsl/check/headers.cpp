#include "headers.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace backstitch::dsl {
namespace {

/// What HTTP itself sets.
const std::set<std::string>& of_http() {
  static const std::set<std::string> names{"host",    "content-length", "transfer-encoding",
                                           "expect",  "connection",     "upgrade",
                                           "trailer", "keep-alive",     "te"};
  return names;
}

/// What the engine sets.
const std::set<std::string>& of_engine() {
  static const std::set<std::string> names{
      "authorization", "proxy-authorization", "idempotency-key",  "saga-id",     "saga-step",
      "saga-phase",    "saga-attempt",        "saga-compensates", "saga-probes", "saga-callback",
      "traceparent",   "tracestate",          "accept-encoding"};
  return names;
}

bool is_token(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

void Headers::check_name(const Check& check, const std::string& pointer, const std::string& name,
                         bool is_engines) const {
  if (!is_token(name)) {
    return check.error("E304", pointer, "\"" + name + "\" is no name of a header",
                       "letters, digits and -, like X-Customer");
  }
  const std::string known = lower(name);
  const bool set_by_engine =
      !is_engines && (of_engine().count(known) > 0 ||
                      (service_ != nullptr && (known == lower(service_->idempotency_header) ||
                                               known == lower(service_->auth.header))));
  if (set_by_engine || of_http().count(known) > 0) {
    check.error("E304", pointer, "the header `" + name + "` is set by the engine",
                "remove it; authentication belongs to the service");
  }
}

void Headers::check_value(const Check& check, const std::string& pointer, const std::string& name,
                          std::string_view value) {
  if (value.find_first_of("\r\n") == std::string_view::npos) return;
  check.error("E304", pointer, "the header `" + name + "` holds a line break",
              "leave the line break out");
}

}  // namespace backstitch::dsl
