#pragma once
/// Names with values for expressions and templates under test.
#include <initializer_list>
#include <map>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/expression.hpp>

namespace backstitch::test {

/// Root names as members of one JSON object; `steps.<name>` holds a step's output.
class Values : public dsl::Scope {
 public:
  explicit Values(const std::string& roots) : roots_(Json::parse(roots)) {
    if (!roots_.contains("steps")) return;
    for (const auto& [name, output] : roots_["steps"].items()) {
      steps_[name] = {{"output", output},
                      {"status", "succeeded"},
                      {"startedAt", "2026-03-01T12:00:00.000Z"},
                      {"completedAt", "2026-03-01T12:00:01.000Z"},
                      {"attempts", 1}};
    }
  }
  const Json* find(std::string_view name) const override {
    const auto found = roots_.find(std::string(name));
    return found == roots_.end() ? nullptr : &*found;
  }
  const Json* step(std::string_view name) const override {
    const auto found = steps_.find(std::string(name));
    return found == steps_.end() ? nullptr : &found->second;
  }
  const Json* step_output(std::string_view name) const override {
    const Json* whole = step(name);
    return whole == nullptr ? nullptr : &(*whole)["output"];
  }

 private:
  Json roots_;
  std::map<std::string, Json> steps_;
};

inline const Values& example_values() {
  static const Values values(R"({
    "input": {"id": "o-17", "amount": 250, "price": 2.5, "big": 9223372036854775807, "none": null,
              "yes": true, "tags": ["b", "a", "b"], "text": " Grüße ", "key with space": 1,
              "lines": [{"sku": "x", "qty": 2, "price": 10}, {"sku": "y", "qty": 1, "price": 5}]},
    "saga": {"id": "019b76da-a800-7a1a-973f-0882d8f2c634", "root": "5f1d6c2a9b7e4f30815d2c6e7a90b4d3", "name": "t", "version": 1},
    "steps": {"reserve": {"reservationId": "r-1"}}})");
  return values;
}

/// The value as JSON text, `omit`, or `error: <message>`.
inline std::string evaluated(const std::string& source,
                             const dsl::Scope& scope = example_values()) {
  const auto compiled = dsl::Expression::compile(source);
  if (!compiled) return "refused: " + compiled.error().message;
  dsl::Budget budget;
  const auto value = compiled->evaluate(scope, budget);
  if (!value) return "error: " + value.error().message;
  if (std::holds_alternative<dsl::Omit>(*value)) return "omit";
  return std::get<Json>(*value).dump();
}

/// An expression and what it gives: the value as JSON, or `error` or `refused` with a part of the
/// message behind it.
struct Row {
  std::string expression;
  std::string gives;
};

inline void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    CAPTURE(row.expression);
    const std::string got = evaluated(row.expression);
    const bool wrong = row.gives.rfind("error", 0) == 0 || row.gives.rfind("refused", 0) == 0;
    if (!wrong) {
      CHECK(got == row.gives);
      continue;
    }
    CAPTURE(got);
    const auto space = row.gives.find(' ');
    CHECK(got.rfind(row.gives.substr(0, space) + ":", 0) == 0);
    if (space != std::string::npos)
      CHECK(got.find(row.gives.substr(space + 1)) != std::string::npos);
  }
}

}  // namespace backstitch::test
