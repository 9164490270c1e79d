#include <backstitch/migrations/migrations.hpp>

namespace backstitch::migrations {

std::string guard_script() {
  std::string script;
  for (const Migration& migration : all()) {
    if (migration.name.starts_with("guard")) script += migration.sql;
  }
  return script;
}

}  // namespace backstitch::migrations
