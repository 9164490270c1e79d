#include "http.hpp"

#include <string_view>

namespace backstitch::examples {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void Request::clear() {
  verb = Verb::other;
  for (std::string* text : {&target, &body, &idempotency_key, &saga_id, &saga_step, &saga_phase,
                            &saga_attempt, &saga_compensates, &saga_probes, &saga_callback}) {
    text->clear();
  }
}

std::string_view Request::path() const {
  const std::string_view all = target;
  return all.substr(0, all.find('?'));
}

std::string_view Request::query() const {
  const std::string_view all = target;
  const auto question = all.find('?');
  return question == std::string_view::npos ? std::string_view{} : all.substr(question + 1);
}

void Reply::clear() {
  status = 200;
  body.clear();
  delivery = Delivery::send;
}

void Reply::set(unsigned new_status, std::string_view new_body) {
  status = new_status;
  body.assign(new_body);
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? hex_digit(text[i + 1]) : -1;
    const int low = escape ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      decoded += text[i];
      continue;
    }
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) == name) {
      return equals == std::string_view::npos ? std::string{}
                                              : percent_decoded(pair.substr(equals + 1));
    }
    query.remove_prefix(pair.size());
    if (!query.empty()) query.remove_prefix(1);
  }
  return {};
}

}  // namespace backstitch::examples
