#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/finding.hpp>

namespace backstitch::dsl {

struct DefinitionLimits {
  std::size_t bytes_max = 256 * 1024;
  std::size_t steps_max = 500;
  std::size_t block_nesting_max = 10;
  std::size_t json_depth_max = 64;
  std::size_t services_max = 32;
};

/// Counted from 1; 0: not known. Columns and lengths are characters, not bytes.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t length = 0;  ///< of what stands there, up to the end of its line
};
void put(Finding& finding, const Place& place);
/// Where each JSON pointer of a document stands in its text: a member from its key on, an item. The
/// text is scanned at the first question only. Not thread-safe.
class SourceMap {
 public:
  SourceMap() = default;
  explicit SourceMap(std::string text) : text_(std::move(text)) {}
  /// @return the place of the nearest pointer at or above `pointer`
  Place find(const std::string& pointer) const;

  struct Index;

 private:
  const Index& index() const;
  std::uint32_t child_of(std::uint32_t parent, std::string_view part) const;
  Place place_of(std::uint32_t number) const;

  std::string text_;
  mutable std::shared_ptr<const Index> index_;
};

struct Parsed {
  std::shared_ptr<const Definition> definition;  ///< null if the findings have errors
  /// What could be read, also of a document with errors, so that the checker has its say at once.
  /// Not to be run. Null: nothing could be read.
  std::shared_ptr<const Definition> draft;
  std::vector<Finding> findings;  ///< codes E0xx, E1xx, E401, E402, E5xx; every one
  SourceMap places;
};

/// Text to model. Strict: unknown keys, wrong types and bad names are findings, and all mistakes of
/// the document are reported at once, with the nearest known key as hint. Thread-safe, pure.
Parsed parse_definition(std::string_view text, const DefinitionLimits& limits = {});

struct ParsedService {
  std::shared_ptr<const Service> service;  ///< null if the findings have errors
  std::vector<Finding> findings;
  Json document;
  SourceMap places;
};
/// A name under which a service can be registered: letters, digits, `.`, `_` and `-`, at most 128,
/// the first a letter or digit.
bool is_service_name(std::string_view text);
/// The body of PUT /v1/services/{name}. `use` is refused here.
ParsedService parse_service(std::string_view text);

}  // namespace backstitch::dsl
