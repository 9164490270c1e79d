#pragma once
#include <span>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/migrations/migrations.hpp>

#include "session.hpp"

namespace backstitch::postgres {

struct RecordedMigration {
  int version = 0;
  std::string name;
  std::string sha256;
};

/// What the database says was applied; nothing if it was never migrated. Throws as Session does.
std::vector<RecordedMigration> recorded_migrations(Session& session);

/// Whether what was applied is a beginning of what this program knows.
/// @return invalid/schema-too-new, invalid/schema-changed
Result<Done> check_history(const std::vector<RecordedMigration>& recorded,
                           std::span<const migrations::Migration> known);

/// Whether the catalogs have what the last migration left: columns, types, keys, indexes, functions
/// and triggers. Additions are fine. Throws as Session does.
/// @return invalid/schema-changed, which names the object
Result<Done> check_objects(Session& session);

}  // namespace backstitch::postgres
