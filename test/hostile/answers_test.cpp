// Answers from a generator over the grammar of HTTP, against our client: each call ends exactly
// once, and none gets what was sent for another one.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "../support/dice.hpp"
#include "client.hpp"

namespace backstitch::hostile {
namespace {

using test::Dice;

/// Writes one answer, mostly right, with parts that are wrong, missing, repeated or garbage.
class AnswerWriter {
 public:
  AnswerWriter(std::uint64_t seed, const Request& request) : dice_(seed), request_(request) {}

  std::string write() {
    std::string bytes;
    while (dice_.chance(10)) bytes += head("1" + std::to_string(dice_.between(0, 99))) + "\r\n";
    bytes += dice_.chance(5) ? noise(200) : one_answer();
    while (dice_.chance(10)) bytes += dice_.chance(50) ? noise(40) : one_answer();
    for (std::size_t changes = dice_.chance(20) ? dice_.between(1, 4) : 0; changes > 0; --changes)
      change(bytes);
    if (dice_.chance(10)) bytes.resize(dice_.below(bytes.size() + 1));
    return bytes;
  }

 private:
  std::string noise(std::size_t size_max) {
    std::string bytes(dice_.below(size_max + 1), ' ');
    for (char& byte : bytes) byte = static_cast<char>(dice_.below(256));
    return bytes;
  }

  void change(std::string& bytes) {
    if (bytes.empty()) return;
    const std::size_t at = dice_.below(bytes.size());
    if (dice_.chance(30))
      bytes.erase(at, dice_.below(8));
    else if (dice_.chance(50))
      bytes.insert(at, noise(8));
    else
      bytes[at] = static_cast<char>(dice_.below(256));
  }

  std::string head(const std::string& status) {
    static const std::vector<std::string> versions = {"HTTP/1.1",  "HTTP/1.1", "HTTP/1.1",
                                                      "HTTP/1.0",  "HTTP/2.0", "http/1.1",
                                                      "HTTP/1.1 ", "ICY",      ""};
    static const std::vector<std::string> reasons = {" OK", "", " ", " \xff\xfe", " a b c", "\t"};
    return dice_.pick(versions) + " " + status + dice_.pick(reasons) + line_end();
  }

  std::string line_end() { return dice_.chance(3) ? "\n" : "\r\n"; }

  std::string field() {
    static const std::vector<std::string> fields = {"Connection: close",
                                                    "Connection: keep-alive",
                                                    "Keep-Alive: timeout=0",
                                                    "X: a\r\n folded",
                                                    "X:",
                                                    ": x",
                                                    "X y: z",
                                                    "X\x01: z",
                                                    "X: \x01\x7f",
                                                    "Upgrade: x",
                                                    "Content-Encoding: gzip",
                                                    "Content-Type: text/html",
                                                    "Retry-After: 99999999999999999999",
                                                    "Trailer: Y",
                                                    "Set-Cookie: a=b"};
    return dice_.pick(fields) + line_end();
  }

  std::string framing(std::size_t size) {
    static const std::vector<std::string> wrong = {"Transfer-Encoding: gzip",
                                                   "Transfer-Encoding: gzip, chunked",
                                                   "Transfer-Encoding: ",
                                                   "Content-Length: -1",
                                                   "Content-Length: 99999999999999999999",
                                                   "Content-Length: 0x10",
                                                   "Content-Length: 2, 3",
                                                   "Content-Length: 4294967296"};
    if (dice_.chance(10)) return dice_.pick(wrong) + line_end();
    if (dice_.chance(10)) size = dice_.below(2 * size + 1);
    return "Content-Length: " + std::to_string(size) + line_end();
  }

  std::string chunked(const std::string& body) {
    static const std::vector<std::string> sizes = {"", "zz", "-1", "FFFFFFFFFFFFFFFF", "0x5"};
    std::string bytes;
    for (std::size_t at = 0; at < body.size();) {
      const std::string part = body.substr(at, dice_.between(1, 20));
      at += part.size();
      char size[20];
      std::snprintf(size, sizeof size, "%zx", part.size());
      bytes += dice_.chance(3) ? dice_.pick(sizes) : std::string(size);
      if (dice_.chance(5)) bytes += ";x=" + std::string(dice_.below(100), 'e');
      bytes += "\r\n" + part + "\r\n";
    }
    bytes += "0\r\n";
    if (dice_.chance(10)) bytes += field();
    return bytes + "\r\n";
  }

  std::string one_answer() {
    static const std::vector<std::string> statuses = {"200", "200", "200",  "409", "404",
                                                      "500", "204", "304",  "101", "099",
                                                      "999", "000", "1000", "2x0", "-20"};
    std::string body = R"({"for":")" + request_.key() + "\"}";
    if (dice_.chance(3)) body = std::string(dice_.between(1, 3'000), 'x');
    std::string bytes = head(dice_.pick(statuses)) + "Content-Type: application/json\r\n";
    while (dice_.chance(20)) bytes += field();
    const bool in_chunks = dice_.chance(25);
    if (in_chunks) bytes += "Transfer-Encoding: chunked" + line_end();
    if (!in_chunks || dice_.chance(5)) bytes += framing(body.size());
    while (dice_.chance(5)) bytes += framing(body.size());
    return bytes + line_end() + (in_chunks ? chunked(body) : body);
  }

  Dice dice_;
  const Request& request_;
};

/// All of it in one segment, or in pieces, or in several TLS records; then, mostly, the end.
void behave_at_random(Peer& peer, const Request& request) {
  const std::uint64_t seed = std::strtoull(request.path.substr(1).c_str(), nullptr, 10);
  Dice dice(seed + 1);
  const std::string bytes = AnswerWriter(seed, request).write();
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = dice.chance(70) ? bytes.size() : dice.between(1, 200);
    peer.put(std::string_view(bytes).substr(at, size));
    if (dice.chance(5)) peer.put_ticket();
    at += size;
  }
  peer.flush();
  // An answer that is not complete would be waited for.
  if (!peer.is_answered_within(20)) peer.close();
}

/// BACKSTITCH_HOSTILE_ANSWERS: 100,000 is what `sanitize` sends.
std::size_t answers_wanted() {
  const char* wanted = std::getenv("BACKSTITCH_HOSTILE_ANSWERS");
  return wanted == nullptr ? 2'000 : std::strtoul(wanted, nullptr, 10);
}

TEST_CASE("whatever a participant answers, each call ends once and with its own answer") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    const Participant participant(wire, behave_at_random);
    std::size_t crossed = 0;
    std::uint64_t seed = 0;
    while (seed < answers_wanted() / 2) {
      // A service that is distrusted has no kept connections: each has some calls only.
      constexpr std::size_t calls_of_service = 50;
      Client client(participant);
      client.service().response_bytes_max = 2'000;
      std::vector<Order> orders;
      for (std::size_t i = 0; i < calls_of_service; ++i)
        orders.push_back({std::to_string(seed++), false, Duration{1'000}});
      CHECK(client.call(orders, 10).size() == orders.size());
      crossed += client.crossed();
    }
    CHECK(crossed == 0);
  }
}

}  // namespace
}  // namespace backstitch::hostile
