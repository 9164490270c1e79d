#include "session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "problem.hpp"

namespace backstitch::rest {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using beast::error_code;
using boost::asio::ip::tcp;

constexpr Duration write_time{30'000};
/// How long the end of the peer is awaited after the last answer, and for how long it may be
/// silent.
constexpr Duration linger_time{30'000};
constexpr Duration linger_silence_max{2'000};
constexpr std::size_t linger_bytes_max = 512 * 1024;
/// Of a body that is too large, several of the largest: a proxy that cannot get rid of a body it
/// has begun to pass on answers 502 in the place of what was said about it.
constexpr std::size_t linger_body_bytes_max = 64 * 1024 * 1024;
constexpr int content_too_large = 413;
constexpr std::size_t read_chunk = 4 * 1024;
constexpr std::size_t buffer_bytes_max = 64 * 1024;
/// Parsing more would keep the sagas of the reactor waiting.
constexpr std::size_t reactor_body_bytes_max = 16 * 1024;

/// Why a request could not be read; nothing to say for a peer that left.
std::optional<Reply> read_failure(const error_code& error, const Options& options,
                                  std::size_t body_bytes_max) {
  if (error == http::error::end_of_stream) return std::nullopt;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return problem(431, "header-too-large",
                   "The header of the request exceeds " + std::to_string(options.header_bytes_max) +
                       " bytes; shorten it.");
  }
  if (error == http::error::body_limit) {
    return problem(413, "body-too-large",
                   "The body of the request exceeds " + std::to_string(body_bytes_max) +
                       " bytes; send less at a time.");
  }
  if (error == http::error::bad_version) {
    return problem(505, "http-version-unsupported",
                   "This server speaks HTTP/1.1 and HTTP/1.0, and neither HTTP/2 nor h2c; let the "
                   "client, or the proxy in front, use HTTP/1.1.");
  }
  if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    return problem(400, "http-malformed",
                   "The request is not valid HTTP/1.1: " + error.message() + ".");
  }
  return std::nullopt;
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Shared> shared, std::size_t reactor)
      : stream_(std::move(socket)),
        shared_(std::move(shared)),
        reactor_(reactor),
        buffer_(std::max(buffer_bytes_max, options().header_bytes_max + read_chunk)) {}
  ~Session() { answered(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void run() {
    error_code ignored;
    const auto peer = stream_.socket().remote_endpoint(ignored).address().to_string();
    const auto close_later = [weak = weak_from_this()] {
      if (const auto self = weak.lock())
        boost::asio::post(self->stream_.get_executor(), [self] { self->close(); });
    };
    ticket_ = shared_->connections->admit(peer, close_later);
    if (!ticket_) return;
    boost::asio::dispatch(stream_.get_executor(),
                          [self = shared_from_this()] { self->await_request(); });
  }

 private:
  const Options& options() const { return shared_->options; }

  /// An idle connection may stay long; once a request began, its header has to come soon.
  void await_request() {
    if (!ticket_->enter(Phase::idle)) return close();
    ticket_->hold(0);
    headers_.clear();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(options().header_bytes_max));
    parser_->body_limit(options().batch_bytes_max);
    if (buffer_.size() > 0) return read_header();
    stream_.expires_after(options().idle_time);
    stream_.async_read_some(buffer_.prepare(read_chunk),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                              if (error) return self->close();
                              self->buffer_.commit(bytes);
                              self->read_header();
                            });
  }

  void read_header() {
    stream_.expires_after(options().header_time);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->refuse(error);
                              self->pass_gate();
                            });
  }

  /// Before the body is read: a request that is refused costs no more than its head.
  void pass_gate() {
    const auto& head = parser_->get();
    const auto [authority, target] = split_target({head.target().data(), head.target().size()});
    // `OPTIONS *` asks about the server, as `OPTIONS /` does here.
    const bool is_of_server = head.method() == http::verb::options && target == "*";
    auto request = parse_target(is_of_server ? "/" : target);
    if (!request) return answer_head(problem(request.error()));
    request_ = std::move(*request);
    request_.method = std::string(head.method_string());
    match_ = shared_->router.find(request_);
    RequestHead judged = head_of(head);
    if (authority) {
      judged.target = parse_authority(*authority);
      if (!judged.target) return answer_head(problem(target_error()));
    }
    auto verdict = shared_->gate->judge(judged, match_.access());
    headers_ = std::move(verdict.headers);
    if (verdict.must_close) return refuse(std::move(*verdict.answer));
    if (ticket_->refusal() && match_.access() != Access::probe)
      return refuse(problem(*ticket_->refusal()));
    if (verdict.answer) return answer_head(std::move(*verdict.answer));
    read_body();
  }

  RequestHead head_of(const http::request<http::string_body>& message) const {
    const auto all = [&](http::field name) {
      std::vector<std::string> values;
      const auto [first, last] = message.equal_range(name);
      for (auto it = first; it != last; ++it) values.emplace_back(it->value());
      return values;
    };
    return {.method = request_.method,
            .hosts = all(http::field::host),
            .origins = all(http::field::origin),
            .content_types = all(http::field::content_type),
            .content_encodings = all(http::field::content_encoding),
            .transfer_encodings = all(http::field::transfer_encoding),
            .idempotency_keys = message.count("Idempotency-Key"),
            .has_body = !parser_->is_done(),
            .is_http_1_0 = message.version() < 11,
            .asks_for_method = message.count(http::field::access_control_request_method) > 0};
  }

  /// Without a body the connection is at its next request.
  void answer_head(Reply reply) {
    head_only_ = parser_->get().method() == http::verb::head;
    keep_alive_ = parser_->is_done() && may_stay_open();
    send(std::move(reply));
  }

  std::size_t body_bytes_max() const {
    return Router::is_batch(request_.path) ? options().batch_bytes_max : options().body_bytes_max;
  }

  void read_body() {
    const auto& head = parser_->get();
    const std::size_t most = body_bytes_max();
    if (const auto length = parser_->content_length(); length && *length > most) {
      return refuse(http::error::body_limit);
    }
    parser_->body_limit(most);
    parser_->eager(true);
    if (!ticket_->enter(Phase::receiving)) return close();
    stream_.expires_after(options().body_time);
    // HTTP/1.0 knows no answer before the answer.
    if (head.version() >= 11 && beast::iequals(head[http::field::expect], "100-continue"))
      return send_continue();
    receive_body();
  }

  void send_continue() {
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    boost::asio::async_write(stream_, boost::asio::buffer(text.data(), text.size()),
                             [self = shared_from_this()](error_code error, std::size_t) {
                               if (error) return self->close();
                               self->receive_body();
                             });
  }

  /// Piece by piece, so that what has arrived is counted while more is awaited.
  void receive_body() {
    if (parser_->is_done()) return answer();
    http::async_read_some(stream_, buffer_, *parser_,
                          [self = shared_from_this()](error_code error, std::size_t) {
                            if (error) return self->refuse(error);
                            if (!self->ticket_->hold(self->parser_->get().body().size()))
                              return self->refuse(problem(no_memory()));
                            self->receive_body();
                          });
  }

  static Error no_memory() {
    return {ErrorCode::overloaded, "buffers-full",
            "The bodies and answers that this node holds fill the memory it has for them; try "
            "again later."};
  }

  /// The parser has seen every `Connection` header, the message asks the first one only.
  bool may_stay_open() const { return parser_->keep_alive() && !ticket_->refusal(); }

  void answer() {
    if (!ticket_->enter(Phase::busy)) return close();
    shared_->answering.fetch_add(1);
    answering_ = true;
    ++awaited_;
    stream_.expires_never();
    keep_alive_ = may_stay_open();
    auto message = parser_->release();
    head_only_ = message.method() == http::verb::head;
    Request request = std::exchange(request_, {});
    request.reactor = reactor_;
    if (shared_->stopping.load() && !Router::is_of_system(request.path))
      return send(problem({ErrorCode::unavailable, "shutting-down",
                           "This node is stopping; try another or later."}));
    const bool waits = request.query.count("wait") > 0;
    if (waits) watch_peer(request.peer);
    answer_late_after(options().answer_time + (waits ? options().wait_max : Duration{0}),
                      request.method == "GET");
    if (const auto key = message.find("Idempotency-Key"); key != message.end()) {
      request.has_idempotency_key = true;
      request.idempotency_key = std::string(key->value());
    }
    request.content_type = std::string(message[http::field::content_type]);
    request.content_encoding = std::string(message[http::field::content_encoding]);
    // Until there are accounts, whoever may reach the port is the operator.
    request.actor = "operator";
    request.body = std::move(message.body());
    handle(std::move(request));
  }

  /// Small requests are handled at once, the others where they stall no saga.
  void handle(Request request) {
    const bool on_reactor =
        match_.load() == Load::by_body && request.body.size() <= reactor_body_bytes_max;
    auto work = [shared = shared_, match = std::move(match_), request = std::move(request),
                 respond = responder()]() mutable {
      try {
        Router::route(std::move(match), std::move(request), respond);
      } catch (const std::exception& error) {
        shared->observer.note(engine::Level::error, "request-failed", {{"what", error.what()}});
        respond(problem({ErrorCode::internal, "internal",
                         "The request failed by a bug of Backstitch; the log of this node says "
                         "more."}));
      }
    };
    if (on_reactor) return work();
    const auto queued = shared_->workers.submit(std::move(work));
    if (!queued) send(problem(queued.error()));
  }

  /// Whoever leaves while it waits is not waited for. What a peer sends ahead hides that it left.
  void watch_peer(const std::shared_ptr<PeerWatch>& peer) {
    watching_ = true;
    stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this(),
                                                         peer](error_code error) {
      if (error) return;
      char byte = 0;
      error_code end;
      self->stream_.socket().receive(boost::asio::buffer(&byte, 1), tcp::socket::message_peek, end);
      if (end) peer->gone();
    });
  }

  void answered() {
    if (std::exchange(answering_, false)) shared_->answering.fetch_sub(1);
  }

  /// Answers may come from any thread; the socket belongs to this one. One that comes after its
  /// caller was told that it is late is nobody's.
  Respond responder() {
    return [self = shared_from_this(), number = awaited_](Reply reply) {
      boost::asio::dispatch(self->stream_.get_executor(),
                            [self, number, reply = std::move(reply)]() mutable {
                              if (number == self->awaited_) self->send(std::move(reply));
                            });
    };
  }

  void answer_late_after(Duration time, bool is_read) {
    late_.expires_after(time);
    late_.async_wait([self = shared_from_this(), number = awaited_, is_read](error_code cancelled) {
      if (cancelled || number != self->awaited_) return;
      self->keep_alive_ = false;
      std::string why = self->shared_->served.not_ready_reason();
      if (why.empty()) why = "The database has not answered for long.";
      self->send(problem(is_read
                             ? Error{ErrorCode::unavailable, "store-timeout", why + " Try again."}
                             : Error{ErrorCode::outcome_unknown, "outcome-unknown",
                                     why + " It is not known whether this was done; send it "
                                           "again under the same key."}));
    });
  }

  void send(Reply reply) {
    ++awaited_;
    late_.cancel();
    if (std::exchange(watching_, false)) {
      error_code ignored;
      stream_.socket().cancel(ignored);
    }
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(reply.status));
    if (!reply.code.empty()) shared_->refusals.count(reply.code);
    if (!reply.content_type.empty()) response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    for (const Headers& headers : {headers_, reply.headers})
      for (const auto& [name, value] : headers) response_.set(name, value);
    // A proxy that is told closes the connection, and sends no request into its end.
    keep_alive_ = keep_alive_ && !shared_->stopping.load();
    response_.keep_alive(keep_alive_);
    // An answer 204 has no length (RFC 9110, section 8.6).
    if (reply.status != 204) response_.content_length(reply.body.size());
    if (!head_only_) response_.body() = std::move(reply.body);
    if (!ticket_->enter(Phase::sending)) return close();
    ticket_->hold(response_.body().size());
    stream_.expires_after(write_time);
    serializer_.emplace(response_);
    serializer_->split(false);
    auto written = [self = shared_from_this()](error_code error, std::size_t) {
      self->answered();
      if (error) return self->close();
      if (self->keep_alive_) return self->await_request();
      self->linger();
    };
    if (head_only_) {
      http::async_write_header(stream_, *serializer_, std::move(written));
    } else {
      http::async_write(stream_, *serializer_, std::move(written));
    }
  }

  void refuse(const error_code& error) {
    auto reply = read_failure(error, options(), body_bytes_max());
    if (!reply) return close();
    refuse(std::move(*reply));
  }

  /// Where the next request would begin is not known, or no more is wanted.
  void refuse(Reply reply) {
    keep_alive_ = false;
    if (reply.status == content_too_large) linger_max_ = linger_body_bytes_max;
    head_only_ = parser_->get().method() == http::verb::head;
    send(std::move(reply));
  }

  /// Closing with unread input would reset the connection and take the answer with it.
  void linger() {
    if (!ticket_->enter(Phase::idle)) return close();
    ticket_->hold(0);
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    linger_until_ = std::chrono::steady_clock::now() + linger_time;
    discard();
  }

  void discard() {
    stream_.expires_at(
        std::min(linger_until_, std::chrono::steady_clock::now() + linger_silence_max));
    stream_.async_read_some(boost::asio::buffer(discarded_),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                              self->lingered_ += bytes;
                              if (error || self->lingered_ > self->linger_max_)
                                return self->close();
                              self->discard();
                            });
  }

  void close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<Connections::Ticket> ticket_;
  std::size_t reactor_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Request request_;
  Router::Match match_;
  Headers headers_;  ///< of the answer, whatever it is
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::array<char, read_chunk> discarded_{};
  std::size_t lingered_ = 0;
  std::size_t linger_max_ = linger_bytes_max;
  std::chrono::steady_clock::time_point linger_until_{};
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool answering_ = false;
  /// Counts requests and their answers: what was meant for an older value is late.
  std::uint64_t awaited_ = 0;
  boost::asio::steady_timer late_{stream_.get_executor()};
  bool watching_ = false;
};

}  // namespace

void serve(tcp::socket socket, std::shared_ptr<Shared> shared, std::size_t reactor) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  std::make_shared<Session>(std::move(socket), std::move(shared), reactor)->run();
}

}  // namespace backstitch::rest
