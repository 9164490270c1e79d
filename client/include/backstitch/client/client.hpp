#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::client {

struct Options {
  std::string server = "http://127.0.0.1:7420";
  std::string token;         ///< empty: none
  Duration timeout{90'000};  ///< of one call; longer than the longest `wait`
};

struct Start {
  std::string definition;
  std::optional<std::int64_t> version;
  Json input;
  std::optional<std::string> business_key;
  std::map<std::string, std::string> labels;
  /// Empty: one is made, so that a repeated send is harmless.
  std::string idempotency_key;
  /// Answer with the end if it comes in time; in requests of at most ten seconds, because proxies
  /// give up on longer ones.
  std::optional<Duration> wait;
};
struct Started {
  std::string id;
  bool created = true;
  Json saga;
};

/// Query parameters in order, e.g. {{"status", "FAILED"}, {"limit", "20"}}.
using Query = std::vector<std::pair<std::string, std::string>>;

/// The REST API of a Backstitch server, typed. Answers are JSON as the API gives it; errors carry
/// the problem's `code` as `reason` and its details. server-unreachable: no answer;
/// not-backstitch: an answer that no Backstitch server gives to that request; both are
/// outcome_unknown if the request may have been carried out, else unavailable.
/// unavailable/server-redirects: no redirect is followed. invalid/server-url-invalid: `server` is
/// not a URL.
/// Thread-safe; every call blocks.
///   Client client({.server = "http://127.0.0.1:7420"});
///   auto started = client.start({.definition = "orders.place", .input = input});
class Client {
 public:
  explicit Client(Options options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// The message of an error has the idempotency key if the saga may have been started all the
  /// same: the start repeated under it never starts a second one.
  Result<Started> start(const Start& start);
  /// `sagas`: starts as the API spells them; answers with the `results`.
  Result<Json> start_batch(const Json& sagas);
  Result<Json> saga(const std::string& id);
  Result<Json> sagas(const Query& filters);
  Result<Json> history(const std::string& id, std::int64_t after, std::size_t limit);

  Result<Json> signal(const std::string& id, const std::string& name, const Json& payload);
  /// An operator's command. With `dry_run` nothing is done: the answer is the plan.
  struct Order {
    std::string id;
    std::string reason{};
    bool dry_run = false;
  };
  Result<Json> cancel(const Order& order);
  Result<Json> retry(const Order& order);
  /// `step`: empty means every step that waits for its next attempt.
  Result<Json> suspend(const Order& order, const std::string& step);
  Result<Json> skip(const Order& order, const std::string& step);
  /// What became of the step that the saga is suspended at.
  struct Resolution {
    std::string as;  ///< `done`, `not-done`, `compensated`
    std::optional<Json> output{};
    std::optional<Json> captured{};
  };
  Result<Json> resolve(const Order& order, const std::string& step, const Resolution& resolution);

  Result<Json> validate(const std::string& definition);
  Result<Json> register_definition(const std::string& definition, bool activate);
  /// What register_definition would say.
  Result<Json> register_dry_run(const std::string& definition);
  Result<Json> definitions();
  Result<Json> definition(const std::string& name);
  Result<Json> activate(const std::string& name, std::int64_t version);
  Result<Json> put_service(const std::string& name, const std::string& document);
  Result<Json> nodes();
  /// `{"name", "service", "runningSagas", "moreSagas"}`: how many running sagas call it.
  Result<Json> service(const std::string& name);
  Result<Json> services();

  Result<Json> ready();
  Result<Json> version();
  Result<std::string> metrics();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::client
