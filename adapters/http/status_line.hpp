#pragma once
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>

namespace backstitch::http {

/// RFC 9112 lets a server leave out the reason phrase, and many leave out the space before it, too;
/// Beast's parser insists on that space.
/// @pre `buffer` holds a whole head, of which nothing has been consumed
/// @return whether the space was missing; it is there now
inline bool mend_status_line(boost::beast::flat_buffer& buffer) {
  constexpr std::size_t line_chars = 12;  // HTTP/1.1 200
  const auto held = buffer.data();
  const std::string_view head(static_cast<const char*>(held.data()), held.size());
  if (head.size() <= line_chars + 1 || head.substr(line_chars, 2) != "\r\n") return false;
  const std::string mended =
      std::string(head.substr(0, line_chars)) + " " + std::string(head.substr(line_chars));
  buffer.clear();
  const auto space = buffer.prepare(mended.size());
  buffer.commit(boost::asio::buffer_copy(space, boost::asio::buffer(mended)));
  return true;
}

}  // namespace backstitch::http
