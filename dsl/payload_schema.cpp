#include <backstitch/dsl/payload_schema.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <re2/re2.h>
#include <nlohmann/json.hpp>

#include "payload_schema_node.hpp"

namespace backstitch::dsl {

struct PayloadSchema::Impl {
  Json source;
  std::unique_ptr<SchemaNode> root;
};

PayloadSchema::PayloadSchema() : impl_(std::make_unique<Impl>()) {}
PayloadSchema::~PayloadSchema() = default;

std::vector<Finding> PayloadSchema::compile(const Json& source, const std::string& pointer,
                                            std::shared_ptr<const PayloadSchema>& out) {
  PatternBudget budget;
  return compile(source, pointer, out, budget);
}

std::vector<Finding> PayloadSchema::compile(const Json& source, const std::string& pointer,
                                            std::shared_ptr<const PayloadSchema>& out,
                                            PatternBudget& budget) {
  std::vector<Finding> findings;
  auto schema = std::shared_ptr<PayloadSchema>(new PayloadSchema());
  schema->impl_->source = source;
  schema->impl_->root = compile_schema(source, pointer, findings, budget);
  if (schema->impl_->root->nothing)
    add_finding(findings, {"E501", Severity::error, pointer, 0, 0, "the schema admits nothing",
                           "say what it admits; true admits anything"});
  if (!has_errors(findings)) out = std::move(schema);
  return findings;
}

std::vector<ErrorDetail> PayloadSchema::validate(const Json& value) const {
  std::vector<ErrorDetail> errors;
  validate_against(*impl_->root, value, "", errors);
  return errors;
}

Json PayloadSchema::with_defaults(const Json& value) const {
  Json filled = value;
  fill_defaults(*impl_->root, filled);
  return filled;
}

const Json& PayloadSchema::source() const {
  return impl_->source;
}

}  // namespace backstitch::dsl
