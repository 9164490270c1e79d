#include "../../app/config_file.hpp"

#include <doctest/doctest.h>

using backstitch::app::parse_config;
using Values = std::vector<std::string>;
using backstitch::app::ConfigType;

namespace {

Values texts_of(const backstitch::app::ConfigEntry& entry) {
  Values texts;
  for (const auto& value : entry.values) texts.push_back(value.text);
  return texts;
}

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
  CHECK(texts_of((*entries)[0]) == Values{"127.0.0.1:7420"});
  CHECK(texts_of((*entries)[1]) == Values{"4"});
  CHECK((*entries)[1].line == 4);
  CHECK(texts_of((*entries)[2]) == Values{"true"});
  CHECK(texts_of((*entries)[3]) == Values{"a.test", "b.test", "c.test"});
  CHECK((*entries)[4].values.empty());
  CHECK((*entries)[4].line == 9);
}

TEST_CASE("a value of a configuration file keeps its type, and an array is told from a value") {
  const auto entries = parse_config("a = \"1\"\nb = 1\nc = true\nd = 'true'\ne = [-1]\nf = []");
  REQUIRE(entries);
  const ConfigType types[] = {ConfigType::string, ConfigType::integer, ConfigType::boolean,
                              ConfigType::string, ConfigType::integer};
  for (std::size_t i = 0; i < std::size(types); ++i) {
    CHECK((*entries)[i].values.at(0).type == types[i]);
    CHECK((*entries)[i].is_array == (i == 4));
  }
  CHECK((*entries)[5].is_array);
}

TEST_CASE("a byte order mark at the beginning of a configuration file is skipped, and no other") {
  const auto entries = parse_config("\xEF\xBB\xBF# saved by an editor\nnode = \"a\"");
  REQUIRE(entries);
  CHECK((*entries)[0].key == "node");
  CHECK((*entries)[0].line == 2);
  CHECK(error_of("\xEF\xBB\xBF\xEF\xBB\xBFnode = 1").find("line 1: a key is expected") == 0);
  CHECK(error_of("a = 1\n\xEF\xBB\xBFnode = 1").find("line 2: a key is expected") == 0);
}

TEST_CASE("a string of a configuration file keeps every character that a password may have") {
  const auto entries = parse_config(
      "database = \"host=db password='a#b, \\\"c\\\"=d' user=u\"\n"
      "secrets = 'C:\\x #1'");
  REQUIRE(entries);
  CHECK(texts_of((*entries)[0]) == Values{"host=db password='a#b, \"c\"=d' user=u"});
  CHECK(texts_of((*entries)[1]) == Values{"C:\\x #1"});
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
