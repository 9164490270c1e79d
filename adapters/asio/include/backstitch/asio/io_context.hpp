#pragma once
/// For adapters that bring their own sockets to a reactor. Everybody else includes reactor.hpp.
#include <boost/asio/io_context.hpp>

#include <backstitch/asio/reactor.hpp>

namespace backstitch::asio {

boost::asio::io_context& io_context_of(Reactor& reactor);

}  // namespace backstitch::asio
