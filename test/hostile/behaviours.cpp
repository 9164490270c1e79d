#include <map>

#include "participant.hpp"

namespace backstitch::hostile {
namespace {

constexpr int stray_delay_ms = 5;

using Way = void (*)(Peer&, const Request&);

std::string stray_for(const Request& request) {
  return answer_for(request, 200, R"(,"stray":true)");
}

void answer_honestly(Peer& peer, const Request& request) {
  peer.send(answer_for(request));
}

void refuse(Peer& peer, const Request& request) {
  peer.send(answer_for(request, 409));
}

void answer_twice(Peer& peer, const Request& request) {
  peer.put(answer_for(request));
  peer.put(stray_for(request));
  peer.flush();
}

void answer_twice_in_one_record(Peer& peer, const Request& request) {
  peer.send(answer_for(request) + stray_for(request));
}

void answer_after_ticket(Peer& peer, const Request& request) {
  peer.put_ticket();
  peer.put(answer_for(request));
  peer.put_ticket();
  peer.flush();
}

void answer_with_key_update(Peer& peer, const Request& request) {
  peer.put(answer_for(request));
  peer.put_key_update();
  peer.flush();
}

void stray_after_ticket(Peer& peer, const Request& request) {
  peer.put(answer_for(request));
  peer.put_ticket();
  peer.put(stray_for(request));
  peer.flush();
}

void stray_split(Peer& peer, const Request& request) {
  peer.put(answer_for(request));
  peer.put(stray_for(request));
  peer.flush(20);
  peer.pause(stray_delay_ms);
  peer.flush();
}

/// Of the stray record only the header comes with the answer.
void stray_after_header(Peer& peer, const Request& request) {
  peer.put(answer_for(request));
  peer.put(stray_for(request));
  peer.flush(stray_for(request).size() + peer.record_tail());
  peer.pause(stray_delay_ms);
  peer.flush();
}

void garbage_behind(Peer& peer, const Request& request) {
  peer.put(answer_for(request));
  peer.put(std::string_view("\x00\xff\x16\x03 no HTTP \r\n\r\n", 17));
  peer.flush();
}

void space_behind(Peer& peer, const Request& request) {
  peer.send(answer_for(request) + "\r\n");
}

void half_head_behind(Peer& peer, const Request& request) {
  peer.send(answer_for(request) + "HTTP/1.1 200 OK\r\nContent-Le");
}

void body_too_long(Peer& peer, const Request& request) {
  peer.send(answer_for(request) + R"({"for":"nobody"})");
}

void body_of_204(Peer& peer, const Request&) {
  peer.send("HTTP/1.1 204 No Content\r\n\r\n{\"for\":\"nobody\"}");
}

void stray_later(Peer& peer, const Request& request) {
  peer.send(answer_for(request));
  peer.pause(stray_delay_ms);
  peer.send(stray_for(request));
}

/// The caller has given up by then, and is gone.
void answer_late(Peer& peer, const Request& request) {
  peer.is_closed_within(10'000);
  peer.send(answer_for(request));
}

void notice_then_close(Peer& peer, const Request& request) {
  peer.send(answer_for(request));
  peer.pause(stray_delay_ms);
  peer.send("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  peer.close();
}

void answer_then_close(Peer& peer, const Request& request) {
  peer.send(answer_for(request));
  peer.close();
}

const std::map<std::string, Way>& ways() {
  static const std::map<std::string, Way> all = {
      {"honest", answer_honestly},
      {"refused", refuse},
      {"twice", answer_twice},
      {"twice-in-one-record", answer_twice_in_one_record},
      {"ticket", answer_after_ticket},
      {"key-update", answer_with_key_update},
      {"stray-after-ticket", stray_after_ticket},
      {"stray-split", stray_split},
      {"stray-after-header", stray_after_header},
      {"garbage-behind", garbage_behind},
      {"space-behind", space_behind},
      {"half-head-behind", half_head_behind},
      {"body-too-long", body_too_long},
      {"body-of-204", body_of_204},
      {"stray-later", stray_later},
      {"late", answer_late},
      {"notice-then-close", notice_then_close},
      {"close", answer_then_close},
  };
  return all;
}

}  // namespace

std::string answer_for(const Request& request, int status, std::string_view more) {
  const std::string body = R"({"for":")" + request.key() + "\"" + std::string(more) + "}";
  return "HTTP/1.1 " + std::to_string(status) +
         " Answer\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

void behave_by_path(Peer& peer, const Request& request) {
  const std::string path = request.path.substr(0, request.path.find('?'));
  const auto found = ways().find(path.substr(path.rfind('/') + 1));
  return found == ways().end() ? answer_honestly(peer, request) : found->second(peer, request);
}

const std::vector<std::string>& ways_at_once() {
  static const std::vector<std::string> names = {
      "twice",        "twice-in-one-record", "stray-after-ticket", "garbage-behind",
      "space-behind", "half-head-behind",    "body-too-long",      "body-of-204"};
  return names;
}

const std::vector<std::string>& ways_later() {
  static const std::vector<std::string> names = {"stray-split", "stray-after-header",
                                                 "stray-later"};
  return names;
}

}  // namespace backstitch::hostile
