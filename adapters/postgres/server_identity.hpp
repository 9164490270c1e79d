#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "session.hpp"

namespace backstitch::postgres {

/// Which cluster a session is on, and on which timeline that writes. A promotion begins a timeline,
/// and so does the end of a point-in-time recovery.
struct ServerIdentity {
  std::optional<std::int64_t> system;    ///< the system identifier
  std::optional<std::int64_t> timeline;  ///< on which the server inserts
  /// What this role lacks to be told both, as the rest of a `grant execute on function`; or empty.
  std::string missing;

  bool is_known() const { return system && timeline; }
  /// As far as both are known, they are the same.
  bool agrees_with(const ServerIdentity& other) const;
  /// Takes over what is known of the other alone.
  void learn(const ServerIdentity& other);
  /// For people: `system 7412…, timeline 2`.
  std::string text() const;
};

/// @throws SessionRefused if the server does not take writes: it is not a primary
ServerIdentity read_identity(Session& session);

}  // namespace backstitch::postgres
