#include "functions.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <backstitch/dsl/number.hpp>

namespace backstitch::dsl {
namespace {

const std::map<std::string, Function, std::less<>>& functions() {
  static const auto all = [] {
    std::map<std::string, Function, std::less<>> table;
    for (auto family :
         {number_functions(), list_functions(), text_functions(), time_and_hash_functions()}) {
      for (auto& function : family) table.emplace(function.info.name, std::move(function));
    }
    return table;
  }();
  return all;
}

Json rounded(const Arguments& a, double (*round)(double)) {
  const Json& value = a.number(0);
  if (value.is_number_integer()) return value;
  Json result = dsl::number(round(value.get<double>()));
  if (!result.is_number_integer()) a.fail("gives an integer that does not fit in 64 bits");
  return result;
}

/// The least or greatest of the arguments, or of one array.
Json extreme(const Arguments& a, bool greatest) {
  std::vector<const Json*> values;
  if (a.size() == 1 && a[0].is_array()) {
    for (const Json& item : a[0]) values.push_back(&item);
  } else {
    for (std::size_t i = 0; i < a.size(); ++i) values.push_back(&a[i]);
  }
  if (values.empty()) a.fail("has nothing to choose from");
  const Json* best = nullptr;
  for (const Json* value : values) {
    if (!value->is_number()) a.fail("takes numbers, not " + shown(*value));
    if (best == nullptr || (greatest ? less(*best, *value) : less(*value, *best))) best = value;
  }
  return *best;
}

Json integer_division(const Arguments& a) {
  const std::int64_t left = a.integer(0);
  const std::int64_t right = a.integer(1);
  if (right == 0) a.fail("divides by zero");
  if (right == -1) {
    std::int64_t negated = 0;
    if (__builtin_sub_overflow(std::int64_t{0}, left, &negated)) a.fail("overflows 64 bits");
    return negated;
  }
  return left / right;
}

Json absolute(const Arguments& a) {
  const Json& value = a.number(0);
  if (!value.is_number_integer()) return dsl::number(std::abs(value.get<double>()));
  const auto integer = value.get<std::int64_t>();
  if (integer == INT64_MIN) a.fail("overflows 64 bits");
  return integer < 0 ? -integer : integer;
}

Json length(const Arguments& a) {
  const Json& value = a[0];
  if (value.is_string())
    return static_cast<std::int64_t>(code_points(value.get_ref<const std::string&>()));
  if (value.is_array() || value.is_object()) return static_cast<std::int64_t>(value.size());
  a.fail("takes a string, an array or an object, not " + shown(value));
}

Json concat(const Arguments& a) {
  Json result = Json::array();
  std::size_t size = 8;
  for (std::size_t i = 0; i < a.size(); ++i) {
    size += size_of(a.array(i));
    a.evaluation.check_size(a.node, size);
    for (const Json& item : a[i]) result.push_back(item);
  }
  return result;
}

Json merge(const Arguments& a) {
  Json result = Json::object();
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (const auto& [name, value] : a.object(i).items()) result[name] = value;
  }
  return result;
}

Json distinct(const Arguments& a) {
  Json result = Json::array();
  // Quadratic, so every comparison counts against the budget.
  for (const Json& item : a.array(0)) {
    a.evaluation.charge(a.node, (result.size() + 1) * weight_of(item).steps);
    if (!holds(result, item)) result.push_back(item);
  }
  return result;
}

Json keys(const Arguments& a) {
  Json result = Json::array();
  for (const auto& [name, value] : a.object(0).items()) result.push_back(name);
  return result;
}

Json values(const Arguments& a) {
  Json result = Json::array();
  for (const Json& value : a.object(0)) result.push_back(value);
  return result;
}

}  // namespace

const std::string& Arguments::text(std::size_t i) const {
  if (!(*this)[i].is_string())
    fail("takes a string as argument " + std::to_string(i + 1) + ", not " + shown((*this)[i]));
  return (*this)[i].get_ref<const std::string&>();
}
std::int64_t Arguments::integer(std::size_t i) const {
  const Json& value = (*this)[i];
  if (!value.is_number_integer())
    fail("takes an integer as argument " + std::to_string(i + 1) + ", not " + shown(value));
  return value.get<std::int64_t>();
}
const Json& Arguments::array(std::size_t i) const {
  if (!(*this)[i].is_array())
    fail("takes an array as argument " + std::to_string(i + 1) + ", not " + shown((*this)[i]));
  return (*this)[i];
}
const Json& Arguments::object(std::size_t i) const {
  if (!(*this)[i].is_object())
    fail("takes an object as argument " + std::to_string(i + 1) + ", not " + shown((*this)[i]));
  return (*this)[i];
}
const Json& Arguments::number(std::size_t i) const {
  if (!(*this)[i].is_number())
    fail("takes a number as argument " + std::to_string(i + 1) + ", not " + shown((*this)[i]));
  return (*this)[i];
}

std::vector<Function> number_functions() {
  return {
      {{"abs", 1, 1, "number", {"number"}}, absolute},
      {{"ceil", 1, 1, "integer", {"number"}},
       [](const Arguments& a) { return rounded(a, std::ceil); }},
      {{"div", 2, 2, "integer", {"integer"}}, integer_division},
      {{"floor", 1, 1, "integer", {"number"}},
       [](const Arguments& a) { return rounded(a, std::floor); }},
      {{"max", 1, 16, "number", {"number|array"}},
       [](const Arguments& a) { return extreme(a, true); }},
      {{"min", 1, 16, "number", {"number|array"}},
       [](const Arguments& a) { return extreme(a, false); }},
      {{"round", 1, 1, "integer", {"number"}},
       [](const Arguments& a) { return rounded(a, std::round); }},
  };
}

std::vector<Function> list_functions() {
  return {
      {{"concat", 1, 16, "array", {"array"}}, concat},
      {{"distinct", 1, 1, "array", {"array"}}, distinct},
      {{"has", 2, 2, "boolean", {"object", "string"}},
       [](const Arguments& a) -> Json { return a.object(0).contains(a.text(1)); }},
      {{"keys", 1, 1, "array", {"object"}}, keys},
      {{"len", 1, 1, "integer", {"string|array|object"}}, length},
      {{"merge", 1, 16, "object", {"object"}}, merge},
      {{"values", 1, 1, "array", {"object"}}, values},
  };
}

const std::vector<FunctionInfo>& function_library() {
  static const auto infos = [] {
    std::vector<FunctionInfo> list;
    for (const auto& [name, function] : functions()) list.push_back(function.info);
    return list;
  }();
  return infos;
}

namespace {

/// All that a function may read beside its arguments.
class TrialScope : public Scope {
 public:
  const Json* find(std::string_view name) const override {
    return name == "saga" ? &saga_ : nullptr;
  }
  const Json* step(std::string_view) const override { return nullptr; }
  const Json* step_output(std::string_view) const override { return nullptr; }

 private:
  Json saga_{{"root", "trial"}};
};

}  // namespace

std::optional<std::string> failure_of_call(const Node& call) {
  std::vector<Operand> arguments;
  for (const Node& argument : call.children) arguments.push_back(Operand::borrow(argument.literal));
  const TrialScope scope;
  Budget budget;
  Evaluation evaluation(scope, budget);
  try {
    call_function(evaluation, call, arguments);
  } catch (const EvaluationError& error) {
    return error.message;
  }
  return std::nullopt;
}

Json call_function(Evaluation& evaluation, const Node& node,
                   const std::vector<Operand>& arguments) {
  const auto found = functions().find(node.text);
  if (found == functions().end()) fail(node, "unknown function `" + node.text + "`");
  for (const Operand& argument : arguments) evaluation.charge_work(node, argument.get());
  return found->second.call({evaluation, node, arguments});
}

}  // namespace backstitch::dsl
