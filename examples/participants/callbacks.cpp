#include "callbacks.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <utility>

namespace backstitch::examples {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::seconds post_max{5};

struct Url {
  std::string host;
  std::string port;
  std::string target;
};

/// Of http URLs without user name; an IPv6 address has its brackets taken off.
std::optional<Url> parse_url(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  const std::string_view authority = text.substr(0, text.find('/'));
  const std::string_view target = text.substr(authority.size());
  auto colon = authority.rfind(':');
  const auto bracket = authority.rfind(']');
  if (bracket != std::string_view::npos && colon != std::string_view::npos && colon < bracket) {
    colon = std::string_view::npos;
  }
  std::string_view host = authority.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return std::nullopt;
  const bool has_port = colon != std::string_view::npos;
  return Url{std::string(host), has_port ? std::string(authority.substr(colon + 1)) : "80",
             target.empty() ? "/" : std::string(target)};
}

/// One exchange on a connection of its own, every operation bounded by the stream's timer.
class Exchange {
 public:
  Exchange(Url url, std::string_view body)
      : url_(std::move(url)), resolver_(context_), stream_(context_) {
    request_.method(http::verb::post);
    request_.target(url_.target);
    request_.set(http::field::host, url_.host);
    request_.set(http::field::content_type, "application/json");
    request_.keep_alive(false);
    request_.body() = body;
    request_.prepare_payload();
  }

  unsigned status() {
    error_code failed;
    const auto found = resolver_.resolve(url_.host, url_.port, failed);
    if (failed) return 0;
    stream_.expires_after(post_max);
    stream_.async_connect(found, [this](error_code error, const auto&) {
      if (!error) write();
    });
    context_.run();
    return status_;
  }

 private:
  void write() {
    http::async_write(stream_, request_, [this](error_code error, std::size_t) {
      if (!error) read();
    });
  }
  void read() {
    http::async_read(stream_, buffer_, response_, [this](error_code error, std::size_t) {
      if (!error) status_ = response_.result_int();
    });
  }

  Url url_;
  asio::io_context context_;
  asio::ip::tcp::resolver resolver_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
  unsigned status_ = 0;
};

}  // namespace

Later::Later() : thread_([this] { run(); }) {}

Later::~Later() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Later::after(std::chrono::milliseconds wait, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.emplace(Clock::now() + wait, std::move(task));
  }
  changed_.notify_one();
}

void Later::run() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (tasks_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto due = tasks_.begin()->first;
    if (Clock::now() < due) {
      changed_.wait_until(lock, due);
      continue;
    }
    const auto task = std::move(tasks_.extract(tasks_.begin()).mapped());
    lock.unlock();
    task();
    lock.lock();
  }
}

unsigned post_json(std::string_view url, std::string_view body) {
  auto parsed = parse_url(url);
  return parsed ? Exchange(std::move(*parsed), body).status() : 0;
}

}  // namespace backstitch::examples
