#pragma once
/// One attempt on its way, and the text it sends.
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/engine/ports/secrets.hpp>

#include "sent_secrets.hpp"
#include "target.hpp"

namespace backstitch::http {

struct Exchange {
  engine::Call call;
  std::string request;  ///< head and body, as sent
  /// For CONNECT, which opens the tunnel that carries the request; empty: none.
  std::string proxy_authorization;
  SentSecrets secrets;  ///< of the request, and of the tunnel
  engine::SteadyTime deadline;
  engine::SteadyTime began{};  ///< on the connection that carries it
  engine::TimerId timer = 0;
  std::function<void(engine::CallResult)> done;
};

/// The bytes of a request: the author's headers, the engine's, and authentication. Whatever was
/// validated before, nothing is written but what HTTP allows in its place, and no header of the
/// author's in the place of one of the engine's. For a proxy that reads it, it is in absolute form
/// and has the credentials for that proxy; for one that tunnels it, they are apart.
/// @param exchange  has its call; gets its request, its secrets and its proxy_authorization
/// @return an error naming the kind of authentication that is missing or the part of the request
/// that HTTP cannot carry, or invalid/secret-missing
Result<Done> write_request(Exchange& exchange, const Target& target, const engine::Secrets* secrets,
                           const std::string& version);
/// The request that opens a tunnel to the target.
std::string write_connect(const Url& target, const std::string& proxy_authorization);

/// Whether connections to the service carry one call after another. The answer to a call on a kept
/// connection that the peer has just closed is lost: where nothing can be sent again, every call
/// has a connection of its own.
bool keeps_connections(const dsl::Service& service);

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Why it cannot be told where the body of an answer with these headers ends; empty: it can. Such
/// an answer settles nothing, whatever its status line says.
/// @param version  of HTTP: 10 or 11
/// @param headers  with lower-case names
std::string framing_error(unsigned version, const Headers& headers);

/// A complete answer to the call as the machine sees it, whatever its body; see engine::read_body.
/// Header values that are not field values of HTTP or not UTF-8 are left out.
engine::Response read_response(const engine::Call& call, int status, Headers headers,
                               const std::string& body);
/// The same for an answer whose body exceeds the service's `maxResponseBytes` and was not read.
engine::Response oversized_response(const engine::Call& call, int status, Headers headers);
/// An answer that a proxy has given in its own name, whatever marks it has. It settles nothing:
/// that proxy has not passed the request on (RFC 9110, 15.5.8), but in a chain the one before it
/// may have sent it another way, too.
engine::Response proxys_response(int status, Headers headers);

}  // namespace backstitch::http
