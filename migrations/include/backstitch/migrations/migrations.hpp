#pragma once
#include <span>
#include <string>
#include <string_view>

namespace backstitch::migrations {

/// One step of the schema's history. Never changed once released: databases remember the checksum.
struct Migration {
  int version = 0;        ///< 1, 2, … without gaps
  std::string_view name;  ///< of the file, without number and ending
  std::string_view sql;
  std::string_view sha256;  ///< of `sql`, hex
};

/// Every migration this program knows, oldest first; compiled in from migrations/*.sql.
std::span<const Migration> all();

/// What a participant's own database needs for `backstitch.guard`: every migration whose name
/// begins with `guard`, each of which stands alone and may be applied again.
std::string guard_script();

}  // namespace backstitch::migrations
