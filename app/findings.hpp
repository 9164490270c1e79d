#pragma once
#include <cstdio>
#include <string>
#include <vector>

#include <backstitch/dsl/finding_text.hpp>

#include "terminal.hpp"

namespace backstitch::app {

/// A finding as a compiler would print it, in colours where the terminal has them.
void print_finding(std::FILE* stream, const Terminal& terminal, const dsl::SourceText& source,
                   const dsl::Finding& finding);

/// How many there are of a file: the line at the end.
void print_summary(std::FILE* stream, const Terminal& terminal, const std::string& file,
                   const std::vector<dsl::Finding>& findings);

}  // namespace backstitch::app
