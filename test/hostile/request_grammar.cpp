#include "request_grammar.hpp"

#include <algorithm>
#include <cstdio>

namespace backstitch::test {
namespace {

std::string hex(std::size_t number, bool upper) {
  char text[20];
  std::snprintf(text, sizeof text, upper ? "%zX" : "%zx", number);
  return text;
}

const std::string hidden = "GET /errors/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";

}  // namespace

HostileRequest RequestGrammar::next() {
  const std::size_t kind = dice_.below(10);
  if (kind < 6) return sound();
  return kind < 8 ? damaged() : with_refused_framing();
}

std::string RequestGrammar::nonce() {
  return "n" + std::to_string(++count_) + "x" + std::to_string(dice_.roll() % 1'000'000);
}

std::string RequestGrammar::field(const std::string& name, const std::string& value) {
  std::string spelled = name;
  for (char& c : spelled)
    if (dice_.chance(20) && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return spelled + ":" + dice_.pick({" ", "", "  ", "\t", " \t "}) + value +
         dice_.pick({"", "", " ", "\t"});
}

std::string RequestGrammar::chunked(const std::string& body) {
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t size = dice_.between(1, std::min<std::size_t>(body.size() - at, 40));
    out += std::string(dice_.below(3), '0') + hex(size, dice_.chance(50)) +
           dice_.pick({"", "", ";a=b", ";quoted=\"a b\""}) + "\r\n" + body.substr(at, size) +
           "\r\n";
    at += size;
  }
  return out + dice_.pick({"0", "000"}) + "\r\n" + dice_.pick({"", "", "Trailer: x\r\n"}) + "\r\n";
}

void RequestGrammar::add_harmless_fields(Parts& parts) {
  for (std::size_t i = dice_.below(4); i > 0; --i) {
    parts.fields.push_back(dice_.pick<std::string>(
        {"X-Empty:", "Accept: */*", "X-Bytes: \x80\xff\xc3", "Cookie: a=b; c=\"d\"",
         "X-Long: " + std::string(dice_.below(300), 'y'), "Via: 1.1 proxy, 1.0 other",
         "Connection: keep-alive", "TE: trailers", "Upgrade: h2c", "Range: bytes=0-5",
         "If-None-Match: *", "X-Forwarded-Host: evil.test", "Expect: something"}));
  }
  for (std::size_t i = parts.fields.size(); i > 1; --i)
    std::swap(parts.fields[i - 1], parts.fields[dice_.below(i)]);
}

std::string RequestGrammar::text_of(const Parts& parts) const {
  std::string text = parts.method + ' ' + parts.target + ' ' + parts.version + "\r\n";
  for (const auto& one : parts.fields) text += one + "\r\n";
  return text + "\r\n" + parts.body;
}

HostileRequest RequestGrammar::sound() {
  HostileRequest request{.nonce = nonce()};
  Parts parts{"GET", "/errors/" + request.nonce, "HTTP/1.1", {}, {}};
  request.status = 404;
  if (dice_.chance(40)) {
    parts.method = "POST";
    parts.target = dice_.pick({"/v1/sagas", "/v1/sagas?", "/v1/sagas?wait=1s"});
    const std::string body = R"({"definition":")" + request.nonce + R"(","input":{"text":")" +
                             (dice_.chance(50) ? "GET /errors/hidden HTTP/1.1" : "") +
                             std::string(dice_.below(200), 'z') + "\"}}";
    parts.fields.push_back(field("Content-Type", "application/json"));
    if (dice_.chance(50)) {
      parts.fields.push_back(
          field("Transfer-Encoding", dice_.pick({"chunked", "Chunked", "CHUNKED"})));
      parts.body = chunked(body);
    } else {
      parts.fields.push_back(field("Content-Length", std::to_string(body.size())));
      parts.body = body;
    }
  } else if (dice_.chance(15)) {
    parts.method = "HEAD";
    request.is_head = true;
  } else if (dice_.chance(15)) {
    parts.target = "/v1/sagas?limit=" + request.nonce;
    request.status = 400;
  } else if (dice_.chance(15)) {
    parts.method = dice_.pick({"DELETE", "PATCH", "TRACE", "OPTIONS"});
    parts.target = "/v1/sagas/" + request.nonce;
    request.status = 405;
  }
  const std::string host = dice_.pick({"localhost", "LOCALHOST:80", "127.0.0.1"});
  if (dice_.chance(10)) parts.target = "http://" + host + parts.target;
  parts.fields.push_back(field("Host", host));
  add_harmless_fields(parts);
  request.bytes = text_of(parts);
  return request;
}

HostileRequest RequestGrammar::with_refused_framing() {
  const std::string body = chunked(hidden);
  const std::string length = std::to_string(hidden.size());
  const auto fields = dice_.pick<std::vector<std::string>>({
      {"Transfer-Encoding: identity"},
      {"Transfer-Encoding: gzip, chunked"},
      {"Transfer-Encoding: chunked, identity"},
      {"Transfer-Encoding: xchunked"},
      {"Transfer-Encoding: chunked;q=0.5"},
      {"Transfer-Encoding: \"chunked\""},
      {"Transfer-Encoding:"},
      {"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"},
      {"Transfer-Encoding: chunked", "Transfer-Encoding: identity"},
      {"Transfer-Encoding: chunked", "Content-Length: " + length},
      {"Content-Length: 5", "Transfer-Encoding: chunked"},
      {"Content-Length: 5", "Content-Length: " + length},
      {"Content-Length: 5, " + length},
      {"Content-Length: -5"},
      {"Content-Length: +5"},
      {"Content-Length: 0x5"},
      {"Content-Length: 5 5"},
      {"Content-Length:"},
      {"Content-Length: 99999999999999999999"},
      {"Content-Length : 5"},
      {"Transfer-Encoding : chunked"},
  });
  Parts parts{dice_.pick({"POST", "GET", "HEAD"}), "/v1/sagas", "HTTP/1.1", fields, body};
  parts.fields.push_back("Host: localhost");
  parts.fields.push_back("Content-Type: application/json");
  add_harmless_fields(parts);
  return {.bytes = text_of(parts), .framing = Framing::refused, .is_head = parts.method == "HEAD"};
}

HostileRequest RequestGrammar::damaged() {
  HostileRequest request = sound();
  request.framing = Framing::unknown;
  request.nonce.clear();
  request.status = 0;
  std::string& bytes = request.bytes;
  for (std::size_t i = dice_.between(1, 4); i > 0 && !bytes.empty(); --i) {
    const std::size_t at = dice_.below(bytes.size());
    switch (dice_.below(7)) {
      case 0:
        bytes[at] = static_cast<char>(dice_.below(256));
        break;
      case 1:
        bytes.erase(at, dice_.between(1, 8));
        break;
      case 2:
        bytes.insert(at, dice_.pick<std::string>({"\r\n", "\n", "\r", std::string(1, '\0'), " ",
                                                  "\t", "\r\n\r\n", "%00", "\x7f", ":", "\r\n "}));
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.insert(at, bytes.substr(dice_.below(bytes.size()), dice_.below(40)));
        break;
      case 5:
        bytes.insert(
            0, dice_.pick({"\r\n", "\n", " ", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}));
        break;
      default:
        if (const auto found = bytes.find("HTTP/1.1"); found != std::string::npos)
          bytes.replace(found, 8,
                        dice_.pick({"HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "http/1.1", "HTTP/1.1 "}));
    }
  }
  return request;
}

}  // namespace backstitch::test
