#pragma once
#include <cstddef>
#include <string_view>

#include <backstitch/base/result.hpp>

namespace backstitch::app {

/// What concerns the whole process. Only a program does it, never a library.

/// Opens the descriptors 0 to 2 on /dev/null where they are closed, so that no file or connection
/// becomes one of them and is written to as standard error. Before anything else is opened. Writing
/// to a standard output that was closed still fails.
void open_standard_descriptors();

/// Flushes standard output. A command whose output was lost has not done what it was asked for, and
/// says so, unless the reader of a pipe went away of its own accord.
/// @return `exit_code`; exit_bad in the place of exit_done if output was lost
int with_output_written(int exit_code);

/// Secrets and the values of sagas are in memory: no core dump of them is left, and no other
/// process of the same user reads them. A program that is started from this one is not concerned.
void forbid_core_dumps();
void allow_core_dumps();

/// Raises the soft limit of open files to the hard one. @return the limit
std::size_t raise_descriptor_limit();

/// Descriptors for the database, the log, secrets, lookups and whatever else is opened once.
inline constexpr std::size_t descriptors_reserved = 128;
/// Fewer connections of clients make no sense.
inline constexpr std::size_t client_connections_min = 16;

/// How many connections of clients may be open under a limit of open files. The reserve comes
/// first, and of the rest, calls to participants may use at least half: clients cannot take from
/// sagas what those need to go on.
/// @return unavailable/descriptor-limit-too-low if too few are left
Result<std::size_t> client_connections(std::size_t descriptor_limit, std::size_t wanted);

/// Says why on standard error, if that takes it, ends the process and unwinds nothing.
[[noreturn]] void end_at_once(std::string_view what, int exit_code);
/// An exception that leaves a thread of the server ends the process with its message.
void end_on_unhandled_exceptions();

}  // namespace backstitch::app
