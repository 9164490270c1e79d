#include "server.hpp"

#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace backstitch::examples {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

// The concrete executor instead of any_io_executor: no type erasure on the hot path.
using Executor = asio::io_context::executor_type;
using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

constexpr std::chrono::seconds hang_max{60};
constexpr std::chrono::milliseconds accept_pause{20};
constexpr std::size_t read_size = 8192;
constexpr std::uint64_t body_max = 1 << 20;

Verb verb_of(http::verb verb) {
  if (verb == http::verb::put) return Verb::put;
  if (verb == http::verb::post) return Verb::post;
  if (verb == http::verb::get) return Verb::get;
  if (verb == http::verb::delete_) return Verb::del;
  return Verb::other;
}

/// Parses straight into a Request and keeps only the headers a service looks at; Beast's own
/// message type would allocate each header.
class RequestParser final : public http::basic_parser<true> {
 public:
  explicit RequestParser(Request& request) : request_(request) {
    eager(true);
    body_limit(body_max);
  }

 private:
  std::string* wanted(beast::string_view name) {
    const auto is = [name](beast::string_view known) { return beast::iequals(name, known); };
    switch (name.size()) {
      case 7:
        return is("Saga-Id") ? &request_.saga_id : nullptr;
      case 9:
        return is("Saga-Step") ? &request_.saga_step : nullptr;
      case 10:
        return is("Saga-Phase") ? &request_.saga_phase : nullptr;
      case 11:
        return is("Saga-Probes") ? &request_.saga_probes : nullptr;
      case 12:
        return is("Saga-Attempt") ? &request_.saga_attempt : nullptr;
      case 13:
        return is("Saga-Callback") ? &request_.saga_callback : nullptr;
      case 15:
        return is("Idempotency-Key") ? &request_.idempotency_key : nullptr;
      case 16:
        return is("Saga-Compensates") ? &request_.saga_compensates : nullptr;
      default:
        return nullptr;
    }
  }

  void on_request_impl(http::verb verb, beast::string_view, beast::string_view target, int,
                       error_code&) override {
    request_.verb = verb_of(verb);
    request_.target.assign(target.data(), target.size());
  }
  void on_field_impl(http::field field, beast::string_view name, beast::string_view value,
                     error_code&) override {
    if (field != http::field::unknown) return;  // none of ours is a header Beast knows
    if (std::string* text = wanted(name)) text->assign(value.data(), value.size());
  }
  std::size_t on_body_impl(beast::string_view part, error_code&) override {
    request_.body.append(part.data(), part.size());
    return part.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, error_code&) override {
    request_.body.append(part.data(), part.size());
    return part.size();
  }
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  Request& request_;
};

/// One client. Kept alive by the one operation that it always has under way, which is also why it
/// needs no strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, Handler& handler) : socket_(std::move(socket)), handler_(handler) {}

  void start() {
    error_code ignored;
    socket_.set_option(Tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    in_.resize(read_size);
    next_request();
    read();
  }

 private:
  void next_request() {
    request_.clear();
    reply_.clear();
    parser_.emplace(request_);
  }

  void read() {
    make_room();
    socket_.async_read_some(asio::buffer(in_.data() + end_, in_.size() - end_),
                            [self = shared_from_this()](error_code failed, std::size_t size) {
                              if (failed) return;
                              self->end_ += size;
                              self->serve();
                            });
  }

  void make_room() {
    if (begin_ == end_) begin_ = end_ = 0;
    if (in_.size() - end_ >= read_size / 2) return;
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (in_.size() - end_ < read_size / 2) in_.resize(in_.size() * 2);
  }

  /// Answers the requests that have arrived, one after another; a client may pipeline.
  void serve() {
    while (true) {
      error_code failed;
      begin_ += parser_->put(asio::const_buffer(in_.data() + begin_, end_ - begin_), failed);
      if (failed == http::error::need_more || (!failed && !parser_->is_done())) return read();
      if (failed) return refuse_malformed();
      const Admission admission = handler_.admit(request_);
      if (admission.wait.count() > 0) return answer_later(admission);
      if (!answer(admission)) return;
    }
  }

  /// Whether the next request can be looked at right away; if not, somebody will come back to that.
  bool answer(const Admission& admission) {
    handler_.answer(request_, admission, reply_);
    switch (reply_.delivery) {
      case Delivery::send:
        return write(parser_->keep_alive());
      case Delivery::drop:
        return false;
      case Delivery::hang:
        wait(hang_max, [](Connection&) {});
        return false;
    }
    return false;
  }

  void answer_later(const Admission& admission) {
    wait(admission.wait, [admission](Connection& self) {
      if (self.answer(admission)) self.serve();
    });
  }

  template <class Then>
  void wait(std::chrono::milliseconds time, Then then) {
    if (!timer_) timer_.emplace(socket_.get_executor());
    timer_->expires_after(time);
    timer_->async_wait([self = shared_from_this(), then = std::move(then)](error_code failed) {
      if (!failed) then(*self);
    });
  }

  void refuse_malformed() {
    reply_.set(400, R"({"error":"malformed-request"})");
    write(false);
  }

  /// As `answer`. Tries the socket first: an answer nearly always fits into its buffer, and then
  /// nothing needs to be scheduled.
  bool write(bool keep_alive) {
    render(keep_alive);
    error_code failed;
    const std::size_t sent = socket_.write_some(asio::buffer(out_), failed);
    if (failed && failed != asio::error::would_block) return false;
    if (sent < out_.size()) {
      write_rest(sent, keep_alive);
      return false;
    }
    if (keep_alive) next_request();
    return keep_alive;
  }

  void write_rest(std::size_t sent, bool keep_alive) {
    asio::async_write(socket_, asio::buffer(out_) + sent,
                      [self = shared_from_this(), keep_alive](error_code failed, std::size_t) {
                        if (failed || !keep_alive) return;
                        self->next_request();
                        self->serve();
                      });
  }

  void render(bool keep_alive) {
    if (reply_.status == 200 && keep_alive) {
      out_.assign("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ");
    } else {
      const auto reason = http::obsolete_reason(http::int_to_status(reply_.status));
      out_.assign("HTTP/1.1 ").append(std::to_string(reply_.status)).append(1, ' ');
      out_.append(reason.data(), reason.size());
      out_.append(keep_alive ? "\r\n" : "\r\nConnection: close\r\n");
      out_.append("Content-Type: application/json\r\nContent-Length: ");
    }
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.begin(), digits.end(), reply_.body.size()).ptr;
    out_.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
    if (const std::string& key = key_carried(); !key.empty())
      out_.append("\r\nSaga-Echo: ").append(key);
    out_.append("\r\nCache-Control: no-store\r\n\r\n").append(reply_.body);
  }

  /// The key of the request, or that of the action that it undoes or asks about; in every answer it
  /// tells the engine who spoke.
  const std::string& key_carried() const {
    if (!request_.idempotency_key.empty()) return request_.idempotency_key;
    return request_.saga_compensates.empty() ? request_.saga_probes : request_.saga_compensates;
  }

  Socket socket_;
  Handler& handler_;
  std::vector<char> in_;
  std::size_t begin_ = 0;  ///< what lies in [begin_, end_) of in_ is not yet parsed
  std::size_t end_ = 0;
  Request request_;
  Reply reply_;
  std::optional<RequestParser> parser_;
  std::string out_;
  std::optional<Timer> timer_;  ///< only for disturbed requests
};

class Listener {
 public:
  Listener(asio::io_context& context, std::uint16_t port, Handler& handler)
      : acceptor_(context.get_executor(), Tcp::endpoint(asio::ip::address_v4::loopback(), port)),
        pause_(context.get_executor()),
        handler_(handler) {
    accept();
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code failed, Socket socket) {
      if (failed) return accept_after_pause();
      std::make_shared<Connection>(std::move(socket), handler_)->start();
      accept();
    });
  }

  /// Out of file descriptors, most likely: asking again at once would spin.
  void accept_after_pause() {
    pause_.expires_after(accept_pause);
    pause_.async_wait([this](error_code failed) {
      if (!failed) accept();
    });
  }

  Acceptor acceptor_;
  Timer pause_;
  Handler& handler_;
};

}  // namespace

struct Server::State {
  // The hint 1 spares a single thread the wake-ups meant for others.
  explicit State(int count) : threads(count), context(count), signals(context, SIGINT, SIGTERM) {
    signals.async_wait([this](error_code failed, int) {
      if (!failed) context.stop();
    });
  }

  int threads;
  asio::io_context context;
  asio::signal_set signals;
  std::vector<std::unique_ptr<Listener>> listeners;
};

Server::Server(int threads) : state_(std::make_unique<State>(threads)) {}
Server::~Server() = default;

std::uint16_t Server::listen(std::uint16_t port, Handler& handler) {
  try {
    auto listener = std::make_unique<Listener>(state_->context, port, handler);
    return state_->listeners.emplace_back(std::move(listener))->port();
  } catch (const boost::system::system_error& error) {
    throw std::system_error(error.code(), "127.0.0.1:" + std::to_string(port));
  }
}

void Server::run() {
  std::vector<std::thread> others;
  for (int i = 1; i < state_->threads; ++i) {
    others.emplace_back([this] { state_->context.run(); });
  }
  state_->context.run();
  for (std::thread& other : others) other.join();
}

}  // namespace backstitch::examples
