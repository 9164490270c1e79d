#include "session.hpp"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
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
constexpr Duration linger_time{2'000};
constexpr std::size_t linger_bytes_max = 512 * 1024;
constexpr std::size_t read_chunk = 4 * 1024;

/// The status and code of an error while a request is being read; nothing to say for a peer that
/// left.
std::optional<std::pair<int, const char*>> status_of(const error_code& error) {
  if (error == http::error::end_of_stream) return std::nullopt;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return std::pair{431, "header-too-large"};
  }
  if (error == http::error::body_limit) return std::pair{413, "body-too-large"};
  if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    return std::pair{400, "http-malformed"};
  }
  return std::nullopt;
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Shared> shared, std::size_t reactor)
      : stream_(std::move(socket)), shared_(std::move(shared)), reactor_(reactor) {
    shared_->connections.fetch_add(1);
  }
  ~Session() {
    answered();
    shared_->connections.fetch_sub(1);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void run() {
    boost::asio::dispatch(stream_.get_executor(),
                          [self = shared_from_this()] { self->await_request(); });
  }

 private:
  const Options& options() const { return shared_->options; }

  /// An idle connection may stay long; once a request began, its header has to come soon.
  void await_request() {
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
                              self->read_body();
                            });
  }

  void read_body() {
    const auto& head = parser_->get();
    const std::string_view target{head.target().data(), head.target().size()};
    const bool batch = Router::is_batch(target.substr(0, target.find('?')));
    const std::size_t most = batch ? options().batch_bytes_max : options().body_bytes_max;
    if (const auto length = parser_->content_length(); length && *length > most) {
      return refuse(http::error::body_limit);
    }
    parser_->body_limit(most);
    stream_.expires_after(options().body_time);
    if (beast::iequals(head[http::field::expect], "100-continue")) return send_continue();
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

  void receive_body() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (error) return self->refuse(error);
                       self->answer();
                     });
  }

  void answer() {
    shared_->answering.fetch_add(1);
    answering_ = true;
    stream_.expires_never();
    auto message = parser_->release();
    keep_alive_ = message.keep_alive() && !shared_->stopping.load();
    head_only_ = message.method() == http::verb::head;
    auto request = parse_target({message.target().data(), message.target().size()});
    if (!request) return send(problem(request.error()));
    request->method = head_only_ ? "GET" : std::string(message.method_string());
    request->reactor = reactor_;
    if (shared_->stopping.load() && !Router::is_of_system(request->path))
      return send(problem({ErrorCode::unavailable, "shutting-down",
                           "This node is stopping; try another or later."}));
    if (request->query.count("wait") > 0) watch_peer(request->peer);
    if (const auto key = message.find("Idempotency-Key"); key != message.end()) {
      request->has_idempotency_key = true;
      request->idempotency_key = std::string(key->value());
    }
    request->content_type = std::string(message[http::field::content_type]);
    request->content_encoding = std::string(message[http::field::content_encoding]);
    // Until there are accounts, whoever may reach the port is the operator.
    request->actor = "operator";
    request->body = std::move(message.body());
    try {
      shared_->router.route(std::move(*request), responder());
    } catch (const std::exception& error) {
      send(problem({ErrorCode::internal, "internal", error.what()}));
    }
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

  /// Answers may come from any thread; the socket belongs to this one.
  Respond responder() {
    return [self = shared_from_this()](Reply reply) {
      boost::asio::dispatch(
          self->stream_.get_executor(),
          [self, reply = std::move(reply)]() mutable { self->send(std::move(reply)); });
    };
  }

  void send(Reply reply) {
    if (std::exchange(watching_, false)) {
      error_code ignored;
      stream_.socket().cancel(ignored);
    }
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(reply.status));
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : reply.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_);
    response_.content_length(reply.body.size());
    if (!head_only_) response_.body() = std::move(reply.body);
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
    const auto status = status_of(error);
    if (!status) return close();
    keep_alive_ = false;
    head_only_ = false;
    send(problem(status->first, status->second,
                 "The request could not be read: " + error.message() + "."));
  }

  /// Closing with unread input would reset the connection and take the answer with it.
  void linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(linger_time);
    discard();
  }

  void discard() {
    stream_.async_read_some(boost::asio::buffer(discarded_),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                              self->lingered_ += bytes;
                              if (error || self->lingered_ > linger_bytes_max) return self->close();
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
  std::size_t reactor_;
  beast::flat_buffer buffer_{64 * 1024};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::array<char, read_chunk> discarded_{};
  std::size_t lingered_ = 0;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool answering_ = false;
  bool watching_ = false;
};

}  // namespace

void serve(tcp::socket socket, std::shared_ptr<Shared> shared, std::size_t reactor) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  std::make_shared<Session>(std::move(socket), std::move(shared), reactor)->run();
}

}  // namespace backstitch::rest
