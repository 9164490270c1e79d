#include "json.hpp"

#include <CLI/CLI.hpp>
