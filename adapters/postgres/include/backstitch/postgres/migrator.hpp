#pragma once
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

enum class MigrationState {
  applied_before,
  applied,  ///< by this call
  pending   ///< would be applied; only with `dry_run`
};
struct MigrationStep {
  int version = 0;
  std::string name;
  MigrationState state = MigrationState::pending;
  std::string sql{};  ///< of a pending step: a script for psql that does the same
};

/// Brings the schema `backstitch` to the version compiled in; creates it if need be. Safe to call
/// from several processes at once: one migrates, the others wait and find it done. Each step is its
/// own transaction, so a failure leaves the steps before it applied and recorded. A step waits
/// three seconds for a lock and is then tried again, twenty times in all. With `dry_run` nothing is
/// changed or created.
/// @return every step this program knows, in order; or unavailable/store-unavailable,
///   invalid/schema-too-new, invalid/schema-changed, internal/migration-failed
Result<std::vector<MigrationStep>> migrate(const std::string& database_url, bool dry_run);

}  // namespace backstitch::postgres
