#include "server_safety.hpp"

#include "failure.hpp"

namespace backstitch::postgres {
namespace {

struct Danger {
  const char* setting;
  const char* consequence;
};
constexpr Danger dangers[] = {
    {"fsync", "a crash of the machine can lose or corrupt committed sagas"},
    {"full_page_writes", "a crash of the machine can corrupt the database"}};

/// Without UTF8 the server keeps or refuses other texts than those that were sent.
void require_encoding(const std::string& encoding) {
  if (encoding == "UTF8") return;
  throw SessionRefused({ErrorCode::invalid, "database-encoding",
                        "the database's encoding is " + encoding +
                            ", which cannot hold every text; create one with: create database NAME "
                            "encoding 'UTF8' template template0"});
}

}  // namespace

void require_safe_server(Session& session, const SessionOptions& options) {
  const pqxx::result found = session.run(
      "select pg_catalog.current_setting('server_encoding'),"
      " pg_catalog.current_setting('fsync'),"
      " pg_catalog.current_setting('full_page_writes')");
  require_encoding(found[0][0].c_str());
  if (!options.allow_unsafe) return;
  int column = 0;
  for (const Danger& danger : dangers) {
    const std::string value = found[0][++column].c_str();
    if (value != "off" || options.allow_unsafe->contains(danger.setting)) continue;
    const std::string setting = danger.setting;
    throw SessionRefused({ErrorCode::invalid, "database-unsafe-setting",
                          "the database runs with " + setting + "=off: " + danger.consequence +
                              ". Switch it on, or allow it by name: --allow-unsafe " + setting});
  }
}

}  // namespace backstitch::postgres
