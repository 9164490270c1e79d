#include "../../app/config_file.hpp"

#include <doctest/doctest.h>

using backstitch::app::parse_config;
using Values = std::vector<std::string>;

namespace {

std::string error_of(std::string_view text) {
  const auto entries = parse_config(text);
  return entries ? "" : entries.error().message;
}

}  // namespace

TEST_CASE("a configuration file has strings, integers, booleans and arrays under its keys") {
  const auto entries = parse_config(
      "# the node\n"
      "listen = \"127.0.0.1:7420\"  # loopback\n"
      "\r\n"
      "reactors=4\r\n"
      "core-dumps = true\n"
      "host = [\"a.test\", 'b.test' , # of the proxy\n"
      "        \"c.test\",\n"
      "       ]\n"
      "origins = []");
  REQUIRE(entries);
  REQUIRE(entries->size() == 5);
  CHECK((*entries)[0].key == "listen");
  CHECK((*entries)[0].line == 2);
  CHECK((*entries)[0].values == Values{"127.0.0.1:7420"});
  CHECK((*entries)[1].values == Values{"4"});
  CHECK((*entries)[1].line == 4);
  CHECK((*entries)[2].values == Values{"true"});
  CHECK((*entries)[3].values == Values{"a.test", "b.test", "c.test"});
  CHECK((*entries)[4].values.empty());
  CHECK((*entries)[4].line == 9);
}

TEST_CASE("a string of a configuration file keeps every character that a password may have") {
  const auto entries = parse_config(
      "database = \"host=db password='a#b, \\\"c\\\"=d' user=u\"\n"
      "secrets = 'C:\\x #1'");
  REQUIRE(entries);
  CHECK((*entries)[0].values == Values{"host=db password='a#b, \"c\"=d' user=u"});
  CHECK((*entries)[1].values == Values{"C:\\x #1"});
}

TEST_CASE("an error of a configuration file names its line, and never a value") {
  CHECK(error_of("\n\nlisten: 1") == "line 3: `=` is expected after `listen`");
  CHECK(error_of("[serve]\nlisten = 1").find("line 1: a table is not expected") == 0);
  CHECK(error_of("= 1").find("line 1: a key is expected") == 0);
  CHECK(error_of("lease = 10s").find("line 1: the value of `lease` is not valid") == 0);
  CHECK(error_of("lease =").find("line 1: the value of `lease` is not valid") == 0);
  CHECK(error_of("node = 1\nnode = 2").find("line 2: `node` is already set in line 1") == 0);
  CHECK(error_of("host = [\n1\n2]").find("line 3: `,` or `]` is expected") == 0);
  CHECK(error_of("host = [1,").find("line 1: the value of `host` is not valid") == 0);
  for (const char* text :
       {"database = \"s3cret", "database = \"s3cret\nx\"", "database = \"s3cret\" x",
        "database = s3cret", "database = \"s3cret\\q\""}) {
    CAPTURE(text);
    CHECK(error_of(text).find("line 1: ") == 0);
    CHECK(error_of(text).find("s3cret") == std::string::npos);
  }
}
