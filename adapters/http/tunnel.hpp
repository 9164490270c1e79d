#pragma once
#include <functional>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "target.hpp"

namespace backstitch::http {

/// Has the proxy on the other side of a new connection pass bytes on to the target (RFC 9110,
/// 9.3.6). Nothing of a request is sent.
/// @param authorization  the value of `Proxy-Authorization`; empty: none
/// @param done  called exactly once on the reactor, with why there is no tunnel; empty: there is
/// one, and nothing has come through it yet. `socket` and `target` live until then. Closing the
/// socket ends it.
void open_tunnel(boost::asio::ip::tcp::socket& socket, const Target& target,
                 const std::string& authorization, std::function<void(const std::string&)> done);

}  // namespace backstitch::http
