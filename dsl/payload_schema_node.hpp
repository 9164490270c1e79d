#pragma once
/// The compiled form of a payload schema, private to payload_schema*.cpp.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <re2/re2.h>
#include <nlohmann/json.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/finding.hpp>
#include <backstitch/dsl/payload_schema.hpp>

namespace backstitch::dsl {

struct SchemaNode {
  std::set<std::string> types;  ///< empty: any
  std::optional<Json> constant;
  std::vector<Json> choices;  ///< `enum`
  bool has_choices = false;
  bool nothing = false;  ///< the schema `false`
  std::vector<std::string> required;
  std::map<std::string, std::unique_ptr<SchemaNode>> properties;
  std::unique_ptr<SchemaNode> additional;  ///< null: anything
  std::unique_ptr<SchemaNode> items;
  std::optional<std::size_t> items_min, items_max, length_min, length_max;
  bool items_unique = false;
  std::optional<Json> minimum, maximum, minimum_exclusive, maximum_exclusive;
  std::unique_ptr<re2::RE2> pattern;
  std::string format;
  std::optional<Json> default_value;
  bool sensitive = false;
};

/// Never null; with findings the node is only good for going on.
std::unique_ptr<SchemaNode> compile_schema(const Json& source, const std::string& pointer,
                                           std::vector<Finding>& findings, PatternBudget& budget);
void validate_against(const SchemaNode& node, const Json& value, const std::string& pointer,
                      std::vector<ErrorDetail>& errors);
void fill_defaults(const SchemaNode& node, Json& value);

}  // namespace backstitch::dsl
