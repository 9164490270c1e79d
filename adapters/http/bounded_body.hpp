#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>

namespace backstitch::http {

/// A body of at most `bytes_max`. Beast 1.74's own limit is passed over when a body of stated
/// length comes in one packet with its head.
struct BoundedBody {
  struct value_type {
    std::string bytes;
    std::size_t bytes_max = 0;
  };
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>& length, boost::system::error_code& error) {
      error = {};
      if (length && *length > body_.bytes_max)
        error = boost::beast::http::error::body_limit;
      else if (length)
        body_.bytes.reserve(static_cast<std::size_t>(*length));
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::system::error_code& error) {
      const std::size_t size = boost::beast::buffer_bytes(buffers);
      error = {};
      if (body_.bytes.size() + size > body_.bytes_max) {
        error = boost::beast::http::error::body_limit;
        return 0;
      }
      for (const boost::asio::const_buffer part : boost::beast::buffers_range_ref(buffers))
        body_.bytes.append(static_cast<const char*>(part.data()), part.size());
      return size;
    }
    void finish(boost::system::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

}  // namespace backstitch::http
