// Secrets that participants repeat in their answers.
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "sent_secrets.hpp"

using backstitch::Json;
using backstitch::http::SentSecrets;

namespace {

Json replaced(const SentSecrets& secrets, Json body) {
  backstitch::engine::Response answer{200, {}, std::move(body), {}};
  secrets.replace_in(answer);
  return answer.body;
}

}  // namespace

TEST_CASE("the secrets of a request are replaced in its answer, wherever they are in it") {
  const std::string token = "TOPSECRET-bank-token-123";
  SentSecrets secrets;
  secrets.add(backstitch::dsl::AuthType::bearer, token);
  CHECK(replaced(secrets, Json("Bearer " + token)) == "Bearer ***");
  CHECK(replaced(secrets, Json::array({token + token, {{"a", token}}, 7, nullptr})) ==
        Json::array({"******", {{"a", "***"}}, 7, nullptr}));
  CHECK(replaced(secrets, Json::object({{"x" + token, {{"in", token}}}})) ==
        Json::object({{"x***", {{"in", "***"}}}}));
  CHECK(replaced(secrets, Json(token.substr(1))) == token.substr(1));
  backstitch::engine::Response answer{401, {{"www-authenticate", "Bearer " + token}}, nullptr, {}};
  secrets.replace_in(answer);
  CHECK(answer.headers.front().second == "Bearer ***");
}

TEST_CASE("of a secret for basic authentication, what is sent and the password are replaced, too") {
  const std::string secret = "shop:correct-horse-battery";
  SentSecrets secrets;
  secrets.add(backstitch::dsl::AuthType::basic, secret);
  for (const std::string& text : {secret, std::string("c2hvcDpjb3JyZWN0LWhvcnNlLWJhdHRlcnk="),
                                  std::string("correct-horse-battery")}) {
    CAPTURE(text);
    CHECK(replaced(secrets, Json("<" + text + ">")) == "<***>");
  }
}

TEST_CASE("a secret of digits is replaced in numbers; a short one is not replaced") {
  SentSecrets digits;
  digits.add(backstitch::dsl::AuthType::api_key, "1234567890123456");
  CHECK(replaced(digits, Json(1234567890123456)) == "***");
  CHECK(replaced(digits, Json(123456789012345)) == 123456789012345);
  SentSecrets short_one;
  short_one.add(backstitch::dsl::AuthType::bearer, "fifteen-letters");
  CHECK(replaced(short_one, Json("fifteen-letters")) == "fifteen-letters");
  CHECK(replaced(short_one, Json("sent: Bearer fifteen-letters")) == "sent: ***");
  CHECK(short_one.has_short());
  CHECK_FALSE(digits.has_short());
  SentSecrets tiny;
  tiny.add(backstitch::dsl::AuthType::bearer, "eight888");
  CHECK(replaced(tiny, Json("Bearer eight888")) == "Bearer eight888");
}
