#include "socket_proxy.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

namespace backstitch::test {
namespace {

struct Link {
  int client = -1;
  int server = -1;
};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket");
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(path);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

void close_one(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

/// @return false when the sender is gone
bool forward(int from, int to) {
  std::array<char, 65536> buffer;
  const ssize_t size = read(from, buffer.data(), buffer.size());
  if (size <= 0) return false;
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t now =
        send(to, buffer.data() + sent, static_cast<std::size_t>(size - sent), MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += now;
  }
  return true;
}

}  // namespace

SocketProxy::SocketProxy(std::string server_socket, std::string socket)
    : server_socket_(std::move(server_socket)), socket_(std::move(socket)) {
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(socket_);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 16) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  thread_ = std::thread([this] { run(); });
}

SocketProxy::~SocketProxy() {
  stopped_ = true;
  thread_.join();
  close(listener_);
  unlink(socket_.c_str());
}

void SocketProxy::run() {
  std::vector<Link> links;
  while (!stopped_) {
    std::vector<pollfd> watched = {{listener_, POLLIN, 0}};
    for (const Link& link : links) {
      watched.push_back({link.client, POLLIN, 0});  // negative ones are ignored by poll
      watched.push_back({link.server, POLLIN, 0});
    }
    poll(watched.data(), watched.size(), 5);
    if (cut_.exchange(false)) {
      for (Link& link : links) close_one(link.client);
      ++broken_;
      continue;
    }
    for (std::size_t i = 0; i < links.size(); ++i) {
      Link& link = links[i];
      if (watched[1 + 2 * i].revents != 0 && !forward(link.client, link.server)) {
        close_one(link.client);
        close_one(link.server);
      }
      if (link.server < 0 || watched[2 + 2 * i].revents == 0) continue;
      if (link.client >= 0 && swallow_.exchange(false)) {
        close_one(link.client);
        close_one(link.server);
        ++broken_;
      } else if (link.client < 0 || !forward(link.server, link.client)) {
        close_one(link.client);
        close_one(link.server);
      }
    }
    if (watched[0].revents != 0) {
      Link link{accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), connect_to(server_socket_)};
      if (link.server < 0) close_one(link.client);
      links.push_back(link);
    }
  }
  for (Link& link : links) {
    close_one(link.client);
    close_one(link.server);
  }
}

}  // namespace backstitch::test
