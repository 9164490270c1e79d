#pragma once
/// The kinds of options that servers and `migrate` share: the database, durations, the
/// configuration file.
#include <string>

#include <CLI/CLI.hpp>

#include <backstitch/base/time.hpp>

namespace backstitch::app {

/// The type of an option that names a file or directory: in a configuration file it is relative to
/// the directory of that file.
inline constexpr const char* path_type = "PATH";

/// Adds --config, a file with the other options of the command. The command line and the
/// environment win over the file. An unreadable file, an unknown key and a value that the option
/// does not take, or of another type, are usage errors that name the file and the line.
/// @pre no option has been added to the command yet: options are read in their order
void add_config_file(CLI::App& command);

/// Adds --database (or BACKSTITCH_DATABASE) and --database-file, of which one may be given. The
/// URL is in `database` once the command line has been read.
void add_database(CLI::App& command, std::string& database);
/// A usage error if the command line named no database.
void require_database(const std::string& database);

/// Adds an option that takes a duration between two bounds.
void add_duration(CLI::App& command, const std::string& name, Duration& value, Duration min,
                  Duration max, const std::string& description);

}  // namespace backstitch::app
