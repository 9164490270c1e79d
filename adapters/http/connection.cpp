#include "connection.hpp"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include <backstitch/base/ascii.hpp>
#include <backstitch/system/failpoint.hpp>

#include "bounded_body.hpp"
#include "dial.hpp"
#include "status_line.hpp"
#include "tls_failure.hpp"
#include "tunnel.hpp"

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

using Parser = wire::response_parser<BoundedBody>;

/// A connection that broke says reset; an answer that makes no sense says protocol.
Transport transport_of(const error_code& error) {
  const auto& category = error.category();
  if (error == wire::error::end_of_stream || error == wire::error::partial_message)
    return Transport::reset;
  return category == make_error_code(wire::error::bad_version).category() ? Transport::protocol
                                                                          : Transport::reset;
}

/// What has been received on a connection that no call uses.
enum class Received {
  nothing,
  part_of_record,  ///< the begin of a TLS record; what is in it will show
  end,             ///< the peer has closed, or announces that it does
  unrequested      ///< application data that belongs to no call
};

/// Servers that close an idle connection may say so: `HTTP/1.1 408 Request Timeout`.
bool is_timeout_notice(std::string_view bytes) {
  constexpr std::string_view version = "HTTP/1.";
  if (!bytes.starts_with(version) || bytes.substr(version.size() + 1, 4) != " 408") return false;
  return bytes.find(version, version.size()) == std::string_view::npos;
}

/// Has the certificate's name verified by OpenSSL, so that its verdict tells a wrong name.
bool expect_name(SSL* session, const std::string& name) {
  error_code not_literal;
  static_cast<void>(net::ip::make_address(name, not_literal));
  X509_VERIFY_PARAM* expected = SSL_get0_param(session);
  return not_literal ? X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size()) == 1
                     : X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1;
}

/// Whether the peer has reset the connection. The kernel tells that to the first operation alone,
/// perhaps to a write whose handler has yet to run: to the next one it is an end like any other.
bool is_reset(tcp::socket& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
         info.tcpi_state == TCP_CLOSE;
}

/// Whether OpenSSL holds the begin of a record whose end has not come.
bool holds_part_of_record(SSL* session) {
  return SSL_has_pending(session) == 1 || std::string_view(SSL_rstate_string(session)) == "RB";
}

}  // namespace

struct Connection::State {
  State(net::io_context& reactor, std::shared_ptr<const Target> where, Disturbed on_disturbed)
      : context(reactor),
        target(std::move(where)),
        disturbed(std::move(on_disturbed)),
        socket(reactor),
        buffer(buffer_bytes_max) {}

  net::io_context& context;
  std::shared_ptr<const Target> target;
  const Disturbed disturbed;
  std::shared_ptr<Dial> dial;  ///< while it connects
  tcp::socket socket;
  std::optional<TlsStream> tls;
  beast::flat_buffer buffer;
  std::optional<Parser> parser;
  std::shared_ptr<const Exchange> exchange;
  Finished finished;
  bool connected = false;
  engine::SteadyTime connected_at{};
  std::uint64_t calls = 0;
  error_code ended_by;        ///< of a connection that has ended, if look() saw it
  bool is_watched = false;    ///< and no call has used it since
  bool sent = false;          ///< bytes of this exchange may have left
  bool written = false;       ///< the request has left whole
  std::string write_failure;  ///< why it cannot; empty: it may
  int interim_answers = 0;

  // Operations hold the connection, so that it outlives them whoever drops it.
  using Self = std::shared_ptr<Connection>;

  void finish(engine::CallResult result, After after) {
    if (!finished) return;  // the deadline was first
    exchange = nullptr;
    if (after != After::keep) close();
    auto call_back = std::exchange(finished, nullptr);
    call_back(std::move(result), after);
  }

  void fail(Transport kind, const std::string& message) {
    finish(engine::TransportError{kind, sent, message}, After::close);
  }

  void close() {
    error_code ignored;
    if (dial) std::exchange(dial, nullptr)->cancel();
    socket.close(ignored);
    connected = false;
  }

  /// Whether the connection can carry a call, which it can if nothing has been received beyond the
  /// answers so far, on any layer: our own buffer, the TLS session and what it has been fed, the
  /// socket. Records without application data are consumed and change nothing.
  Received look() {
    if (!connected) return Received::end;
    if (buffer.size() > 0)
      return judge({static_cast<const char*>(buffer.data().data()), buffer.size()});
    std::array<char, 512> bytes;  // NOLINT: what of it is read has been written
    error_code error;
    std::size_t count = 0;
    with_stream([&](auto& stream) { count = stream.read_some(net::buffer(bytes), error); });
    if (!error && count > 0) return judge({bytes.data(), count});
    if (error != net::error::would_block) {
      ended_by = error;
      return Received::end;
    }
    return tls && holds_part_of_record(tls->native_handle()) ? Received::part_of_record
                                                             : Received::nothing;
  }

  static Received judge(std::string_view bytes) {
    return is_timeout_notice(bytes) ? Received::end : Received::unrequested;
  }

  void connect(const Self& self) {
    dial = std::make_shared<Dial>(context, target);
    dial->start([this, self](Dial::Outcome outcome) {
      dial = nullptr;
      if (!finished) return;
      if (auto* failed = std::get_if<engine::CallResult>(&outcome))
        return finish(std::move(*failed), After::close);
      socket = std::move(std::get<tcp::socket>(outcome));
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      socket.non_blocking(true, ignored);  // for look()
      if (target->is_tunnelled()) return tunnel(self);
      if (target->url.tls) return handshake(self);
      connection_made(self);
    });
  }

  void tunnel(const Self& self) {
    open_tunnel(socket, *target, exchange->proxy_authorization,
                [this, self](const std::string& failure) {
                  if (!finished) return;
                  if (!failure.empty()) return fail(Transport::connect, failure);
                  handshake(self);
                });
  }

  void connection_made(const Self& self) {
    connected = true;
    connected_at = std::chrono::steady_clock::now();
    begin(self);
  }

  void handshake(const Self& self) {
    tls.emplace(socket, *target->tls);
    tls->set_verify_mode(net::ssl::verify_peer);
    if (!expect_name(tls->native_handle(), target->server_name))
      return fail(Transport::tls, target->server_name + " cannot be the name in a certificate");
    // SNI; the macro of OpenSSL casts as C does.
    ::SSL_ctrl(tls->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               const_cast<char*>(target->server_name.c_str()));
    tls->async_handshake(net::ssl::stream_base::client, [this, self](const error_code& failed) {
      if (!finished) return;
      if (failed) return fail(Transport::tls, target->url.authority + ": " + describe(failed));
      connection_made(self);
    });
  }

  std::string describe(const error_code& failed) {
    return tls ? describe_tls_failure(tls->native_handle(), failed) : failed.message();
  }

  template <class Use>
  void with_stream(Use&& use) {
    if (tls)
      use(*tls);
    else
      use(socket);
  }

  /// Whatever has come before the request is no answer to it. On a new connection the begin of a
  /// record is the begin of a session ticket.
  void begin(const Self& self) {
    const Received received = look();
    const bool is_new = calls == 1;
    if (received == Received::nothing || (received == Received::part_of_record && is_new))
      return write(self);
    if (is_new && is_handshake_rejection(ended_by)) return fail_rejected(ended_by);
    const bool unrequested = received == Received::unrequested;
    finish(engine::TransportError{Transport::reset, false,
                                  unrequested ? "the participant sent bytes before the request"
                                              : "the participant closed the connection"},
           unrequested ? After::distrust : After::close);
  }

  /// Reads while it writes: a participant may refuse a request before it has read all of it, and
  /// close the connection (RFC 9112, 9.5).
  void write(const Self& self) {
    system::failpoint("call-not-sent");
    sent = true;
    interim_answers = 0;
    const auto bytes = net::buffer(exchange->request);
    if (target->before_last_byte)
      write_bytes(self, net::buffer(bytes, bytes.size() - 1), &State::hold_last_byte);
    else
      write_bytes(self, bytes, &State::request_written);
    if (!target->cut_after_sending) read(self);
  }

  void hold_last_byte(const Self& self) {
    target->before_last_byte(exchange->call, [this, self] {
      if (!finished) return;
      const auto bytes = net::buffer(exchange->request);
      write_bytes(self, bytes + (bytes.size() - 1), &State::request_written);
    });
  }

  /// The operation holds the exchange, too: it may end after the exchange has.
  void write_bytes(const Self& self, net::const_buffer bytes, void (State::*then)(const Self&)) {
    const bool begins = bytes.data() == exchange->request.data();
    with_stream([&](auto& stream) {
      net::async_write(
          stream, bytes,
          [this, self, then, begins, held = exchange](const error_code& failed, std::size_t count) {
            if (!finished) return;
            if (failed) return on_write_failed(failed, begins && count == 0);
            (this->*then)(self);
          });
    });
  }

  void on_write_failed(const error_code& failed, bool nothing_written) {
    write_failure = "sending failed: " + failed.message();
    // Nothing of it reached even our own kernel.
    if (nothing_written && !tls) sent = false;
    if (!sent || target->cut_after_sending) return fail(Transport::reset, write_failure);
    // What was received before the connection broke is still read, and nothing is awaited.
    error_code ignored;
    socket.shutdown(tcp::socket::shutdown_receive, ignored);
  }

  void request_written(const Self&) {
    system::failpoint("call-sent");
    written = true;
    if (target->cut_after_sending) fail(Transport::reset, "cut off on purpose, behind the request");
  }

  void read(const Self& self) {
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
            if (failed == wire::error::bad_status && mend_status_line(buffer)) return read(self);
            if (failed == wire::error::body_limit) return answer_oversized();
            if (failed) return on_read_failed(failed);
            if (is_cut_off()) return fail(Transport::reset, "a reset has cut off the answer");
            const int status = static_cast<int>(parser->get().result_int());
            if (status >= 200) return answer(status);
            if (status == static_cast<int>(wire::status::switching_protocols))
              return fail(Transport::protocol, "the answer switches protocols, unasked");
            if (++interim_answers > interim_answers_max) {
              return fail(Transport::protocol, "too many interim answers");
            }
            read(self);
          });
    });
  }

  /// Of an answer that only the end of the connection delimits; a TLS session has an end of its
  /// own.
  bool is_cut_off() { return parser->need_eof() && !tls && is_reset(socket); }

  /// The participant has rejected the session, so it has not read what was sent in it.
  void fail_rejected(const error_code& failed) {
    sent = false;
    fail(Transport::tls, target->url.authority + ": " + describe(failed));
  }

  bool has_part_of_answer() const {
    return interim_answers > 0 || parser->got_some() || buffer.size() > 0;
  }

  void on_read_failed(const error_code& failed) {
    if (calls == 1 && !has_part_of_answer() && is_handshake_rejection(failed))
      return fail_rejected(failed);
    const Transport kind = transport_of(failed);
    const bool broke_before = kind == Transport::reset && !write_failure.empty();
    fail(kind, broke_before ? write_failure : "reading the answer failed: " + describe(failed));
  }

  Headers headers_of_answer() const {
    Headers headers;
    for (const auto& field : parser->get()) {
      headers.emplace_back(
          lower_case(std::string_view(field.name_string().data(), field.name_string().size())),
          std::string(field.value()));
    }
    return headers;
  }

  /// A proxy that reads the requests speaks for itself when it asks for credentials.
  bool is_proxys_own(int status) const {
    return target->is_forwarded() &&
           status == static_cast<int>(wire::status::proxy_authentication_required);
  }

  void answer(int status) {
    system::failpoint("call-answered");
    auto headers = headers_of_answer();
    if (const auto wrong = framing_error(parser->get().version(), headers); !wrong.empty())
      return fail(Transport::protocol, wrong);
    auto response =
        is_proxys_own(status)
            ? proxys_response(status, std::move(headers))
            : read_response(exchange->call, status, std::move(headers), parser->get().body().bytes);
    const After after = after_answer(response);
    finish(std::move(response), after);
  }

  /// What has come in the segment of a plain answer is in the buffer. What comes later is there
  /// when the next call looks, as it must; the socket is not asked twice for each call.
  After after_answer(const engine::Response& response) {
    const bool keeps =
        written && parser->keep_alive() && keeps_connections(*exchange->call.service);
    if (!keeps || !response.foreign.empty()) return After::close;
    const Received received = tls || buffer.size() > 0 ? look() : Received::nothing;
    if (received == Received::unrequested) return After::distrust;
    return received == Received::nothing ? After::keep : After::close;
  }

  /// The status line has come, and it decides; the rest is not read.
  void answer_oversized() {
    const int status = static_cast<int>(parser->get().result_int());
    auto headers = headers_of_answer();
    if (const auto wrong = framing_error(parser->get().version(), headers); !wrong.empty())
      return fail(Transport::protocol, wrong);
    finish(is_proxys_own(status) ? proxys_response(status, std::move(headers))
                                 : oversized_response(exchange->call, status, std::move(headers)),
           After::close);
  }

  /// Looks, and again whenever something comes. The wait is not cancelled when a call takes the
  /// connection: it ends with the call's answer, and finds that it is over.
  void watch(const Self& self) {
    const Received received = look();
    if (received != Received::nothing && received != Received::part_of_record) {
      close();
      return disturbed(*self, received == Received::unrequested);
    }
    socket.async_wait(tcp::socket::wait_read, [weak = std::weak_ptr(self),
                                               number = calls](const error_code& failed) {
      const auto watched = weak.lock();
      if (watched && !failed && watched->state_->calls == number && watched->state_->connected)
        watched->state_->watch(watched);
    });
  }
};

Connection::Connection(net::io_context& context, std::shared_ptr<const Target> target,
                       Disturbed disturbed)
    : state_(std::make_unique<State>(context, std::move(target), std::move(disturbed))) {}
Connection::~Connection() = default;

bool Connection::is_connected() const {
  return state_->connected;
}

engine::SteadyTime Connection::connected_at() const {
  return state_->connected_at;
}

const std::shared_ptr<const Target>& Connection::target() const {
  return state_->target;
}

void Connection::run(std::shared_ptr<const Exchange> exchange, Finished finished) {
  state_->exchange = std::move(exchange);
  state_->finished = std::move(finished);
  state_->sent = false;
  state_->written = false;
  state_->is_watched = false;
  ++state_->calls;
  if (state_->connected)
    state_->begin(shared_from_this());
  else
    state_->connect(shared_from_this());
}

void Connection::watch() {
  if (!state_->connected || std::exchange(state_->is_watched, true)) return;
  state_->watch(shared_from_this());
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
