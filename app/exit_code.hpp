#pragma once

namespace backstitch::app {

/// Exit codes, the same for every command. What each means for a command: command_help.cpp.
inline constexpr int exit_done = 0;
inline constexpr int exit_bad = 1;          ///< the thing asked about is bad
inline constexpr int exit_usage = 2;        ///< the command line cannot be carried out as it is
inline constexpr int exit_unreachable = 3;  ///< server or database
inline constexpr int exit_undecided = 4;    ///< no final answer yet
inline constexpr int exit_broken = 5;       ///< a server that could not go on
inline constexpr int exit_forced = 6;       ///< a stop that was cut short

}  // namespace backstitch::app
