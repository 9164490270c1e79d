#pragma once
#include <cstdio>
#include <string>

#include <backstitch/dsl/finding.hpp>

#include "terminal.hpp"

namespace backstitch::app {

/// A definition as it was read.
struct SourceText {
  const std::string& file;
  const std::string& text;
};

/// A finding as a compiler would print it: place, message, the line with a caret, hint.
void print_finding(std::FILE* stream, const Terminal& terminal, const SourceText& source,
                   const dsl::Finding& finding);

}  // namespace backstitch::app
