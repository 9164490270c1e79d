#include "participant.hpp"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace backstitch::hostile {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

Request parse_head(const std::string& head) {
  Request request;
  const auto line_end = head.find("\r\n");
  const std::string line = head.substr(0, line_end);
  const auto first = line.find(' ');
  const auto second = line.find(' ', first + 1);
  request.method = line.substr(0, first);
  request.path = line.substr(first + 1, second - first - 1);
  for (auto at = line_end; at != std::string::npos && at + 2 < head.size();) {
    const auto end = head.find("\r\n", at + 2);
    const std::string field = head.substr(at + 2, end - at - 2);
    const auto colon = field.find(": ");
    if (colon != std::string::npos)
      request.headers[lower(field.substr(0, colon))] = field.substr(colon + 2);
    at = end;
  }
  return request;
}

}  // namespace

std::string Request::key() const {
  for (const char* name : {"idempotency-key", "saga-probes", "saga-compensates"}) {
    const auto found = headers.find(name);
    if (found != headers.end()) return found->second;
  }
  return {};
}

void Peer::collect() {
  char* record = nullptr;
  BIO* out = SSL_get_wbio(session_);
  const long size = BIO_get_mem_data(out, &record);
  collected_.append(record, static_cast<std::size_t>(size));
  static_cast<void>(BIO_reset(out));
}

void Peer::put(std::string_view bytes) {
  if (session_ == nullptr) {
    collected_.append(bytes);
    return;
  }
  if (bytes.empty()) return;
  SSL_write(session_, bytes.data(), static_cast<int>(bytes.size()));
  collect();
}

void Peer::put_ticket() {
  if (session_ == nullptr || SSL_new_session_ticket(session_) == 0) return;
  // It is written by the handshake that is due now.
  SSL_do_handshake(session_);
  collect();
}

void Peer::put_key_update() {
  if (session_ == nullptr || SSL_key_update(session_, SSL_KEY_UPDATE_REQUESTED) == 0) return;
  SSL_do_handshake(session_);
  collect();
}

void Peer::put_close_notify() {
  if (session_ == nullptr) return;
  SSL_shutdown(session_);
  collect();
}

void Peer::flush(std::size_t keep_back) {
  const std::size_t size = collected_.size() - std::min(keep_back, collected_.size());
  for (std::size_t sent = 0; sent < size;) {
    const auto count = ::send(socket_, collected_.data() + sent, size - sent, MSG_NOSIGNAL);
    if (count <= 0) {
      closed_ = true;
      break;
    }
    sent += static_cast<std::size_t>(count);
  }
  collected_.erase(0, size);
}

bool Peer::is_closed_within(int milliseconds) const {
  pollfd watched{socket_, POLLRDHUP, 0};
  return ::poll(&watched, 1, milliseconds) > 0;
}

bool Peer::is_answered_within(int milliseconds) const {
  pollfd watched{socket_, POLLIN | POLLRDHUP, 0};
  return ::poll(&watched, 1, milliseconds) > 0;
}

void Peer::pause(int milliseconds) const {
  ::poll(nullptr, 0, milliseconds);
}

void Peer::relay(std::uint16_t port) {
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  std::array<pollfd, 2> ends{{{socket_, POLLIN, 0}, {other, POLLIN, 0}}};
  bool open = ::connect(other, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  std::array<char, 65536> bytes;  // NOLINT: what of it is read has been written
  while (open && ::poll(ends.data(), ends.size(), -1) > 0) {
    for (std::size_t from = 0; from < ends.size(); ++from) {
      if (ends[from].revents == 0) continue;
      const auto count = ::recv(ends[from].fd, bytes.data(), bytes.size(), 0);
      open = open && count > 0 &&
             ::send(ends[1 - from].fd, bytes.data(), static_cast<std::size_t>(count),
                    MSG_NOSIGNAL) == count;
    }
  }
  ::close(other);
  close();
}

void Peer::close() {
  closed_ = true;
}

void Peer::end() {
  ::shutdown(socket_, SHUT_WR);
  is_closed_within(10'000);
}

void Peer::reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  for (int unsent = 1; unsent > 0; std::this_thread::yield()) {
    if (::ioctl(socket_, SIOCOUTQ, &unsent) != 0) break;
  }
  close();
}

bool Peer::put_before_finished(std::string_view bytes) {
  std::array<char, 1> none{};
  std::size_t count = 0;
  // Reads the client's hello, which has no early data, since no ticket of ours allows any.
  return SSL_read_early_data(session_, none.data(), none.size(), &count) ==
             SSL_READ_EARLY_DATA_FINISH &&
         SSL_write_early_data(session_, bytes.data(), bytes.size(), &count) == 1;
}

bool Peer::handshake(std::string_view greeting, const std::function<void()>& before_rejection) {
  bool has_greeted = greeting.empty();
  while (!closed_) {
    if (!has_greeted) has_greeted = put_before_finished(greeting);
    const int done = SSL_do_handshake(session_);
    collect();
    const bool rejects = done != 1 && SSL_get_error(session_, done) == SSL_ERROR_SSL;
    if (rejects && before_rejection) before_rejection();
    flush();
    if (done == 1) return true;
    if (SSL_get_error(session_, done) != SSL_ERROR_WANT_READ || !receive()) return false;
  }
  return false;
}

bool Peer::receive() {
  std::array<char, 65536> bytes;  // NOLINT: what of it is read has been written
  const auto count = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (count <= 0) return false;
  if (session_ == nullptr)
    received_.append(bytes.data(), static_cast<std::size_t>(count));
  else
    BIO_write(SSL_get_rbio(session_), bytes.data(), static_cast<int>(count));
  return true;
}

bool Peer::take() {
  if (session_ == nullptr) return receive();
  std::array<char, 16384> bytes;  // NOLINT: what of it is read has been written
  int count = SSL_read(session_, bytes.data(), static_cast<int>(bytes.size()));
  while (count <= 0) {
    if (SSL_get_error(session_, count) != SSL_ERROR_WANT_READ || !receive()) return false;
    count = SSL_read(session_, bytes.data(), static_cast<int>(bytes.size()));
  }
  received_.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

bool Peer::read_head(Request& request) {
  std::size_t end = received_.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!take()) return false;
    end = received_.find("\r\n\r\n");
  }
  request = parse_head(received_.substr(0, end + 2));
  received_.erase(0, end + 4);
  return true;
}

bool Peer::read_body(Request& request) {
  const auto stated = request.headers.find("content-length");
  const std::size_t length =
      stated == request.headers.end() ? 0 : std::strtoul(stated->second.c_str(), nullptr, 10);
  while (received_.size() < length) {
    if (!take()) return false;
  }
  request.body = received_.substr(0, length);
  received_.erase(0, length);
  return true;
}

Participant::Participant(Wire wire, Behave behave, std::string greeting, std::uint16_t port)
    : wire_(wire), behave_(std::move(behave)), greeting_(std::move(greeting)) {
  context_.reset(SSL_CTX_new(TLS_server_method()));
  use(make_identity());
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 128) != 0)
    throw std::runtime_error("the hostile participant cannot listen");
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { accept(); });
}

Participant::~Participant() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [socket, thread] : serving_) ::shutdown(socket, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  std::unique_lock lock(mutex_);
  while (!serving_.empty()) all_ended_.wait(lock);
  lock.unlock();
  join_ended();
  ::close(listener_);
}

void Participant::use(const Identity& identity) {
  certificate_ = pem_of(*identity.certificate);
  SSL_CTX_use_certificate(context_.get(), identity.certificate.get());
  SSL_CTX_use_PrivateKey(context_.get(), identity.key.get());
}

std::string Participant::url() const {
  return std::string(wire_ == Wire::tls ? "https" : "http") +
         "://127.0.0.1:" + std::to_string(port_);
}

void Participant::accept() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    // A test has taken all descriptors, and gives them back.
    const bool is_for_now = socket < 0 && errno == EMFILE;
    join_ended();
    const std::lock_guard lock(mutex_);
    if (stopping_ || (socket < 0 && !is_for_now)) {
      if (socket >= 0) ::close(socket);
      return;
    }
    if (is_for_now) continue;
    ++connections_;
    serving_.emplace(socket, std::thread([this, socket] { serve(socket); }));
  }
}

void Participant::join_ended() {
  std::vector<std::thread> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  for (auto& thread : ended) thread.join();
}

void Participant::serve(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const std::unique_ptr<SSL, decltype(&SSL_free)> session(
      wire_ == Wire::tls ? SSL_new(context_.get()) : nullptr, &SSL_free);
  Peer peer(socket, session.get());
  bool open = true;
  if (session) {
    SSL_set_bio(session.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(session.get());
    open = peer.handshake(greeting_, before_rejection_);
  } else if (!greeting_.empty()) {
    peer.send(greeting_);
  }
  if (!greeting_.empty()) ++greetings_;
  Request request;
  while (open && !peer.closed_ && peer.read_head(request) &&
         (answers_after_heads_ || peer.read_body(request)))
    behave_(peer, request);
  const std::lock_guard lock(mutex_);
  ended_.push_back(std::move(serving_.extract(socket).mapped()));
  ::close(socket);
  all_ended_.notify_all();
}

}  // namespace backstitch::hostile
