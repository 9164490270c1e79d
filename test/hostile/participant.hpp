#pragma once
/// A participant that misbehaves on purpose, on real sockets on loopback.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "certificate.hpp"

namespace backstitch::hostile {

enum class Wire { plain, tls };

struct Request {
  std::string method;
  std::string path;
  std::map<std::string, std::string> headers;  ///< lower-case names
  std::string body;

  /// The key of the call, which an answer names so that the caller knows whose it is.
  std::string key() const;
};

/// One connection, as a behaviour sees it. What is put is collected, so that a flush sends several
/// records in one segment.
class Peer {
 public:
  Peer(int socket, SSL* session) : socket_(socket), session_(session) {}

  /// One TLS record (of up to 16 KiB).
  void put(std::string_view bytes);
  /// A session ticket; nothing on a plain connection.
  void put_ticket();
  /// Asks for new keys; nothing on a plain connection.
  void put_key_update();
  /// Ends what this side sends; nothing on a plain connection.
  void put_close_notify();
  /// What a record has behind its content: of TLS 1.3 the type and the tag.
  std::size_t record_tail() const { return session_ == nullptr ? 0 : 17; }
  /// @param keep_back  so many bytes stay collected
  void flush(std::size_t keep_back = 0);
  void send(std::string_view bytes) {
    put(bytes);
    flush();
  }
  /// Of a request that is answered after its head. @return false at the end of the connection
  bool read_body(Request& request);
  /// Whether the other side closes within that time. What it sends is not read.
  bool is_closed_within(int milliseconds) const;
  /// Whether the other side closes or sends another request within that time.
  bool is_answered_within(int milliseconds) const;
  void pause(int milliseconds) const;
  /// Passes bytes on to a port on loopback and back, until one side ends. Of a plain connection.
  void relay(std::uint16_t port);
  void close();
  /// Ends what this side sends, and waits for the other side to close.
  void end();
  /// Closes with a reset once the other side's kernel has all that was sent.
  void reset();

 private:
  friend class Participant;
  /// @param greeting  goes out in the flight that ends with the server's Finished: RFC 8446, 4.2.10
  /// @param before_rejection  is called before the alert goes out; may be null
  bool handshake(std::string_view greeting, const std::function<void()>& before_rejection);
  /// Takes the records that the session has written.
  void collect();
  bool put_before_finished(std::string_view bytes);
  /// @return false at the end of the connection
  bool receive();
  /// More of what was sent, decrypted. @return false at the end of the connection
  bool take();
  bool read_head(Request& request);

  int socket_;
  SSL* session_;  ///< null: plain
  bool closed_ = false;
  std::string received_;
  std::string collected_;
};

/// Answers each request by `behave`, on a thread a connection. Threads: `behave` runs on many.
/// Lifetime: the destructor ends all connections and waits for their threads.
class Participant {
 public:
  using Behave = std::function<void(Peer&, const Request&)>;
  /// @param greeting  is sent to whoever connects, before any request
  Participant(Wire wire, Behave behave, std::string greeting = {}, std::uint16_t port = 0);
  ~Participant();
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  /// From now on requests are answered after their heads, and their bodies are for `behave` to
  /// read.
  void answer_after_heads() { answers_after_heads_ = true; }
  /// From now on it has this certificate. Nobody may be connecting.
  void use(const Identity& identity);
  /// From now on it runs before the alert with which a handshake is rejected goes out.
  void before_rejection(std::function<void()> act) { before_rejection_ = std::move(act); }
  /// Of its TLS connections, to be changed before they are made.
  SSL_CTX* context() { return context_.get(); }
  std::string url() const;
  std::uint16_t port() const { return port_; }
  /// PEM: the authority that its TLS connections are verified with.
  const std::string& certificate() const { return certificate_; }
  std::size_t connections() const { return connections_.load(); }
  /// The greetings that are in the other side's kernel, or are lost.
  std::size_t greetings() const { return greetings_.load(); }

 private:
  void accept();
  void serve(int socket);
  void join_ended();

  Wire wire_;
  Behave behave_;
  std::string greeting_;
  std::function<void()> before_rejection_;
  std::string certificate_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, &SSL_CTX_free};
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> answers_after_heads_{false};
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> greetings_{0};
  std::thread accepting_;
  std::mutex mutex_;                    ///< of what follows
  std::map<int, std::thread> serving_;  ///< by socket
  std::vector<std::thread> ended_;      ///< to be joined
  bool stopping_ = false;
  std::condition_variable all_ended_;
};

/// An answer with a JSON body that names the call it is for.
std::string answer_for(const Request& request, int status = 200, std::string_view more = {});
/// Behaves as the last segment of the request's path says; see behaviours.cpp for the list.
void behave_by_path(Peer& peer, const Request& request);
/// Those of which every byte is sent in one segment with the answer.
const std::vector<std::string>& ways_at_once();
/// Those that send something later.
const std::vector<std::string>& ways_later();

}  // namespace backstitch::hostile
