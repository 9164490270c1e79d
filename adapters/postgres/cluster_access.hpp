#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// Who may connect to a private cluster, and as whom: the one place that knows its roles.
///
/// - `backstitch` owns the database of that name and is no superuser; the engine uses it.
/// - `postgres` is the superuser that initdb makes.
///
/// Over the Unix socket the operating system's root and the cluster's own user may be either, by
/// `peer` authentication; no other user can. Over TCP, where that is asked for, a role needs its
/// password, and `postgres` has none.
struct ClusterAddress {
  std::filesystem::path socket_directory;
  std::uint16_t port;
};

inline constexpr const char* cluster_superuser = "postgres";

/// The text of pg_hba.conf. @param tcp whether roles may come over TCP with their password
std::string host_access(bool tcp);
/// The text of pg_ident.conf, for a cluster that the operating system's user `user` runs.
std::string identity_map(const std::string& user);

/// A connection URL over the Unix socket.
std::string socket_url(const ClusterAddress& address, const std::string& role,
                       const std::string& database);
bool accepts_connections(const ClusterAddress& address);
/// Creates or corrects the role `backstitch` and creates its database.
/// @param password of the role over TCP; empty: it has none
Result<Done> prepare_database(const ClusterAddress& address, const std::string& password);

/// @return a password of 128 random bits
Result<std::string> random_password();

}  // namespace backstitch::postgres
