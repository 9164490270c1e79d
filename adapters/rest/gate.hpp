#pragma once
/// What a request has to satisfy before anything is done for it. A web page can send requests to a
/// server on its reader's machine; these rules keep such requests out (docs/operating.md).
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/rest/server.hpp>

#include "authority.hpp"
#include "message.hpp"

namespace backstitch::rest {

/// From which of the rules a route is exempt.
enum class Access {
  api,       ///< from none
  probe,     ///< monitors call it by whatever address they have: every host is accepted
  callback,  ///< a secret token protects it: a body of every content type is accepted
};

/// The head of a request, as far as the gate judges it.
struct RequestHead {
  std::string method;
  std::optional<Authority> target;  ///< of an absolute-form request target
  std::vector<std::string> hosts;   ///< the values of every `Host`
  std::vector<std::string> origins;
  std::vector<std::string> content_types;
  std::vector<std::string> content_encodings{};
  std::vector<std::string> transfer_encodings{};
  std::size_t idempotency_keys = 0;
  bool has_body = false;
  bool is_http_1_0 = false;
  bool asks_for_method = false;  ///< has `Access-Control-Request-Method`
};

/// Immutable once made; callable from any thread.
class Gate {
 public:
  /// @return invalid/host-option-invalid, origin-option-invalid, proxy-option-invalid or
  /// callback-url-invalid
  static Result<Gate> create(const Options& options);

  struct Verdict {
    std::optional<Reply> answer;  ///< the request is refused, or answered already
    Headers headers;              ///< of whatever answer it gets
    bool must_close = false;      ///< where the request ends is not known
  };
  Verdict judge(const RequestHead& head, Access access) const;

 private:
  /// @return nothing if it has none, which HTTP/1.0 allows
  Result<std::optional<Authority>> host_of(const RequestHead& head) const;
  std::optional<Error> refuse_host(const std::optional<Authority>& host) const;
  /// True for an origin of --allow-origin, false for the server's own.
  /// @return forbidden/origin-refused for every other one
  Result<bool> is_listed_origin(const std::vector<std::string>& origins,
                                const std::optional<Authority>& host) const;

  bool checks_hosts_ = false;
  std::vector<std::string> hosts_;  ///< accepted beside loopback
  std::vector<Origin> origins_;     ///< accepted beside the server's own
};

}  // namespace backstitch::rest
