#pragma once
/// Requests and replies as the resources see them: no Beast here.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::rest {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Told when the peer of a request has gone before its answer. Thread-safe; `then` is called at
/// most once, inside watch() if the peer has gone already.
class PeerWatch {
 public:
  void watch(std::function<void()> then);
  void gone();

 private:
  std::mutex mutex_;
  bool gone_ = false;
  std::function<void()> then_;
};

struct Request {
  std::string method;
  std::string path;                               ///< decoded, without the query
  std::vector<std::string> segments;              ///< of the path, decoded
  std::multimap<std::string, std::string> query;  ///< decoded; only what the route declares
  std::string idempotency_key;                    ///< empty: no header
  bool has_idempotency_key = false;
  std::string actor;             ///< who asks, for the audit
  std::string content_type;      ///< empty: no header
  std::string content_encoding;  ///< empty: no header
  std::string body;
  std::size_t reactor = 0;  ///< the one this request came in on
  std::shared_ptr<PeerWatch> peer = std::make_shared<PeerWatch>();

  /// The value of a query parameter that appears once at most.
  std::optional<std::string> parameter(const std::string& name) const;
};

struct Reply {
  int status = 200;
  std::string body{};
  std::string content_type = "application/json";  ///< empty: no header
  Headers headers{};
  std::string code{};  ///< of a problem document; empty: the request was not refused
};

/// Answers the request. Any thread, once.
using Respond = std::function<void(Reply)>;

/// Percent-decoding. @return nothing on a bad escape or a NUL
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
Error target_error();
/// Splits `/a/b?x=y`. @return invalid/target-invalid
Result<Request> parse_target(std::string_view target);
/// A request target without what routing has no use for.
struct SplitTarget {
  std::optional<std::string_view> authority;  ///< of the absolute form, as it was written
  std::string_view rest;                      ///< path and query
  bool operator==(const SplitTarget&) const = default;
};
/// Splits `http://host/a/b?x=y`, the absolute form; every other form is a rest alone.
SplitTarget split_target(std::string_view target);

Reply json_reply(int status, const Json& body);
/// With `Idempotent-Replayed: true` if it answers what had been done before.
Reply replayed_if(bool repeated, Reply reply);

}  // namespace backstitch::rest
