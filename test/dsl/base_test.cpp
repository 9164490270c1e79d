// The vocabulary: times, durations, ids, digests, results.
#include <string>

#include <doctest/doctest.h>

#include <backstitch/base/digest.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("durations are read in falling units, each once, and written the shortest way") {
  struct Row {
    std::string text;
    std::optional<Duration> duration;
  };
  for (const Row& row : std::initializer_list<Row>{{"250ms", 250ms},
                                                   {"10s", 10s},
                                                   {"1h30m", 90min},
                                                   {"7d", 168h},
                                                   {"0s", 0s},
                                                   {"90m", 90min},
                                                   {"3650d", 24h * 3650},
                                                   {"3651d", std::nullopt},
                                                   {"99999999999999999999d", std::nullopt},
                                                   {"30m1h", std::nullopt},
                                                   {"1h1h", std::nullopt},
                                                   {"1.5h", std::nullopt},
                                                   {"-1s", std::nullopt},
                                                   {" 1s", std::nullopt},
                                                   {"1", std::nullopt},
                                                   {"s", std::nullopt},
                                                   {"1w", std::nullopt},
                                                   {"", std::nullopt}}) {
    CAPTURE(row.text);
    CHECK(parse_duration(row.text) == row.duration);
    if (row.duration) CHECK(parse_duration(to_text(*row.duration)) == row.duration);
  }
  CHECK(to_text(Duration{90min}) == "1h30m");
  CHECK(to_text(Duration{0}) == "0s");
  CHECK(to_text(Duration{86'400'001}) == "1d1ms");
}

TEST_CASE("times are RFC 3339 with any offset, and written in UTC milliseconds") {
  struct Row {
    std::string text;
    std::string written;  ///< empty: not a time
  };
  for (const Row& row :
       std::initializer_list<Row>{{"2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000Z"},
                                  {"2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123Z"},
                                  {"2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00.000Z"},
                                  {"2026-03-01T00:30:00+01:00", "2026-02-28T23:30:00.000Z"},
                                  {"2024-02-29T23:59:60Z", "2024-02-29T23:59:59.000Z"},
                                  {"1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
                                  {"2023-02-29T00:00:00Z", ""},
                                  {"2026-13-01T00:00:00Z", ""},
                                  {"2026-03-01T24:00:00Z", ""},
                                  {"2026-03-01T12:00:00", ""},
                                  {"2026-03-01 12:00", ""},
                                  {"2026-03-01T12:00:00+25:00", ""},
                                  {"0000-01-01T00:00:00Z", ""},
                                  {"tomorrow", ""}}) {
    CAPTURE(row.text);
    const auto time = parse_rfc3339(row.text);
    CHECK((time ? to_rfc3339(*time) : "") == row.written);
  }
}

TEST_CASE("a saga id is a UUID of version 7 that orders by time and ends in its shard") {
  const TimePoint now{Duration{1'767'225'600'000}};
  const SagaId id = SagaId::make(now, 0x1122334455667788, 0x99aabbccddeeff00, 0x2a);
  const std::string text = id.text();
  REQUIRE(text.size() == 36);
  CHECK(text[14] == '7');
  CHECK((text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b'));
  CHECK(text.substr(34) == "2a");
  CHECK(id.shard() == 0x2a);
  CHECK(SagaId::parse(text) == id);
  CHECK(SagaId::parse("019B76DA-A800-7A1A-973F-0882D8F2C634").has_value());
  CHECK(id < SagaId::make(now + 1ms, 0, 0, 0));
  for (const char* bad :
       {"", "019b76da", "019b76da-a800-7a1a-973f-0882d8f2c63",
        "019b76daxa800-7a1a-973f-0882d8f2c634", "g19b76da-a800-7a1a-973f-0882d8f2c634"}) {
    CAPTURE(bad);
    CHECK_FALSE(SagaId::parse(bad).has_value());
  }
}

TEST_CASE("SHA-256 gives the values of FIPS 180-4") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("HMAC-SHA-256 gives the values of RFC 4231") {
  CHECK(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex_of(hmac_sha256(std::string(20, '\x0b'), "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex_of(hmac_sha256(std::string(131, '\xaa'),
                           "Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("a result that is asked for what it does not hold is a bug, not a value") {
  Result<int> good = 7;
  CHECK(*good == 7);
  CHECK_THROWS_AS(static_cast<void>(good.error()), InvariantViolation);
  Result<int> bad = Error{ErrorCode::conflict, "reason", "message"};
  CHECK_FALSE(bad.has_value());
  CHECK(bad.error().reason == "reason");
  CHECK_THROWS_AS(static_cast<void>(bad.value()), InvariantViolation);
}

}  // namespace
}  // namespace backstitch::test
