#pragma once
#include "routes.hpp"

namespace backstitch::examples {

/// The main function of an example: reads the options, serves the business until SIGTERM or SIGINT.
int run_program(int count, char** arguments, const Business& business);

}  // namespace backstitch::examples
