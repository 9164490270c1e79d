#include "connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include <backstitch/system/failpoint.hpp>

namespace backstitch::http {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using boost::system::error_code;
using dsl::Transport;
using net::ip::tcp;

constexpr std::uint32_t header_bytes_max = 64 * 1024;
constexpr std::size_t buffer_bytes_max = 128 * 1024;
constexpr int interim_answers_max = 10;

using TlsStream = net::ssl::stream<tcp::socket&>;

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
    reader(wire::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>& length, error_code& error) {
      error = {};
      if (length && *length > body_.bytes_max)
        error = wire::error::body_limit;
      else if (length)
        body_.bytes.reserve(static_cast<std::size_t>(*length));
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, error_code& error) {
      const std::size_t size = beast::buffer_bytes(buffers);
      error = {};
      if (body_.bytes.size() + size > body_.bytes_max) {
        error = wire::error::body_limit;
        return 0;
      }
      for (const net::const_buffer part : beast::buffers_range_ref(buffers))
        body_.bytes.append(static_cast<const char*>(part.data()), part.size());
      return size;
    }
    void finish(error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};
using Parser = wire::response_parser<BoundedBody>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

/// A connection that broke says reset; an answer that makes no sense says protocol.
Transport transport_of(const error_code& error) {
  const auto& category = error.category();
  if (error == wire::error::end_of_stream || error == wire::error::partial_message)
    return Transport::reset;
  return category == make_error_code(wire::error::bad_version).category() ? Transport::protocol
                                                                          : Transport::reset;
}

}  // namespace

struct Connection::State {
  State(net::io_context& context, std::shared_ptr<const Target> where)
      : target(std::move(where)), socket(context), resolver(context), buffer(buffer_bytes_max) {}

  std::shared_ptr<const Target> target;
  tcp::socket socket;
  tcp::resolver resolver;
  std::optional<TlsStream> tls;
  beast::flat_buffer buffer;
  std::optional<Parser> parser;
  const Exchange* exchange = nullptr;
  Finished finished;
  bool connected = false;
  bool sent = false;                ///< bytes of this exchange may have left
  bool used = false;                ///< an exchange was completed on this connection
  bool status_line_mended = false;  ///< of the answer that is being read
  int interim_answers = 0;

  // Operations hold the connection, so that it outlives them whoever drops it.
  using Self = std::shared_ptr<Connection>;

  void finish(engine::CallResult result, bool reusable) {
    if (!finished) return;  // the deadline was first
    exchange = nullptr;
    if (!reusable) close();
    used = true;
    auto call_back = std::exchange(finished, nullptr);
    call_back(std::move(result), reusable);
  }

  void fail(Transport kind, const std::string& message) {
    finish(engine::TransportError{kind, sent, message}, false);
  }

  void close() {
    error_code ignored;
    resolver.cancel();
    socket.close(ignored);
    connected = false;
  }

  void connect(const Self& self) {
    error_code error;
    const auto literal = net::ip::make_address(target->url.host, error);
    if (!error) return connect_to(self, {tcp::endpoint(literal, target->url.port)});
    resolver.async_resolve(
        target->url.host, std::to_string(target->url.port), tcp::resolver::numeric_service,
        [this, self](const error_code& failed, const tcp::resolver::results_type& found) {
          if (!finished) return;
          if (failed) return fail(Transport::dns, target->url.host + ": " + failed.message());
          std::vector<tcp::endpoint> endpoints;
          for (const auto& entry : found) endpoints.push_back(entry.endpoint());
          connect_to(self, std::move(endpoints));
        });
  }

  void connect_to(const Self& self, std::vector<tcp::endpoint> endpoints) {
    for (const auto& endpoint : endpoints) {
      const std::string refused = target->egress->check_address(target->url.host, target->url.port,
                                                                endpoint.address().to_string());
      if (!refused.empty()) {
        // Not inside run(): the caller's `done` must not be called from there.
        net::post(socket.get_executor(), [this, self, refused] {
          if (finished) fail(Transport::connect, refused);
        });
        return;
      }
    }
    auto where = std::make_shared<std::vector<tcp::endpoint>>(std::move(endpoints));
    net::async_connect(
        socket, *where, [this, self, where](const error_code& failed, const tcp::endpoint&) {
          if (!finished) return;
          if (failed)
            return fail(Transport::connect, target->url.authority + ": " + failed.message());
          error_code ignored;
          socket.set_option(tcp::no_delay(true), ignored);
          if (target->url.tls) return handshake(self);
          connected = true;
          write(self);
        });
  }

  void handshake(const Self& self) {
    tls.emplace(socket, *target->tls);
    tls->set_verify_mode(net::ssl::verify_peer);
    tls->set_verify_callback(net::ssl::host_name_verification(target->server_name));
    // SNI; the macro of OpenSSL casts as C does.
    ::SSL_ctrl(tls->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               const_cast<char*>(target->server_name.c_str()));
    tls->async_handshake(net::ssl::stream_base::client, [this, self](const error_code& failed) {
      if (!finished) return;
      if (failed) return fail(Transport::tls, target->url.authority + ": " + failed.message());
      connected = true;
      write(self);
    });
  }

  template <class Use>
  void with_stream(Use&& use) {
    if (tls)
      use(*tls);
    else
      use(socket);
  }

  void write(const Self& self) {
    system::failpoint("call-not-sent");
    sent = true;
    with_stream([&](auto& stream) {
      net::async_write(stream, net::buffer(exchange->request),
                       [this, self](const error_code& failed, std::size_t bytes) {
                         if (!finished) return;
                         if (failed) {
                           // Nothing of it reached even our own kernel.
                           if (bytes == 0 && !tls) sent = false;
                           return fail(Transport::reset, "sending failed: " + failed.message());
                         }
                         system::failpoint("call-sent");
                         if (target->cut_after_sending)
                           return fail(Transport::reset, "cut off on purpose, behind the request");
                         interim_answers = 0;
                         read(self);
                       });
    });
  }

  void read(const Self& self) {
    status_line_mended = false;
    read_on(self);
  }

  void read_on(const Self& self) {
    parser.emplace();
    parser->header_limit(header_bytes_max);
    // Not none: Beast 1.74 takes every stated length for larger than none.
    parser->body_limit(std::numeric_limits<std::uint64_t>::max());
    parser->get().body().bytes_max = exchange->call.service->response_bytes_max;
    if (exchange->call.request.method == "HEAD") parser->skip(true);
    with_stream([&](auto& stream) {
      wire::async_read(
          stream, buffer, *parser, [this, self](const error_code& failed, std::size_t) {
            if (!finished) return;
            if (failed == wire::error::bad_status && mend_status_line()) return read_on(self);
            if (failed == wire::error::body_limit) return answer_oversized();
            if (failed)
              return fail(transport_of(failed), "reading the answer failed: " + failed.message());
            const int status = static_cast<int>(parser->get().result_int());
            if (status >= 200) return answer(status);
            if (++interim_answers > interim_answers_max) {
              return fail(Transport::protocol, "too many interim answers");
            }
            read(self);
          });
    });
  }

  /// RFC 9112 lets a server leave out the reason phrase, and many leave out the space before it,
  /// too; Beast's parser insists on that space. The whole head is in the buffer by then, and
  /// nothing of it is consumed.
  bool mend_status_line() {
    constexpr std::size_t line_chars = 12;  // HTTP/1.1 200
    const auto held = buffer.data();
    const std::string_view head(static_cast<const char*>(held.data()), held.size());
    const bool bare = head.size() > line_chars + 1 && head.substr(line_chars, 2) == "\r\n";
    if (!bare || std::exchange(status_line_mended, true)) return false;
    const std::string mended =
        std::string(head.substr(0, line_chars)) + " " + std::string(head.substr(line_chars));
    buffer.clear();
    const auto space = buffer.prepare(mended.size());
    buffer.commit(net::buffer_copy(space, net::buffer(mended)));
    return true;
  }

  Headers headers_of_answer() const {
    Headers headers;
    for (const auto& field : parser->get()) {
      headers.emplace_back(lower({field.name_string().data(), field.name_string().size()}),
                           std::string(field.value()));
    }
    return headers;
  }

  void answer(int status) {
    system::failpoint("call-answered");
    // Bytes after the answer belong to no request of ours.
    const bool reusable = parser->keep_alive() && buffer.size() == 0;
    finish(read_response(status, headers_of_answer(), parser->get().body().bytes), reusable);
  }

  /// The status line has come, and it decides; the rest is not read.
  void answer_oversized() {
    const int status = static_cast<int>(parser->get().result_int());
    finish(
        oversized_response(status, headers_of_answer(), exchange->call.service->response_bytes_max),
        false);
  }
};

Connection::Connection(net::io_context& context, std::shared_ptr<const Target> target)
    : state_(std::make_unique<State>(context, std::move(target))) {}
Connection::~Connection() = default;

bool Connection::is_open() {
  if (!state_->connected) return false;
  char byte = 0;
  const auto peeked = ::recv(state_->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  // Data that nobody asked for is as bad as an end: a TLS close_notify looks like that too.
  return peeked < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Connection::run(const Exchange& exchange, Finished finished) {
  state_->exchange = &exchange;
  state_->finished = std::move(finished);
  state_->sent = false;
  if (state_->connected)
    state_->write(shared_from_this());
  else
    state_->connect(shared_from_this());
}

void Connection::expire() {
  // Held, because `finished` may drop the last owner.
  const auto self = shared_from_this();
  state_->fail(Transport::timeout, state_->sent ? "no answer within the attempt's time"
                                                : "not connected within the attempt's time");
}

void Connection::expire_connecting() {
  const auto self = shared_from_this();
  if (!state_->connected)
    state_->fail(Transport::timeout, "not connected within the time for connecting");
}

void Connection::close() {
  state_->close();
}

}  // namespace backstitch::http
