#pragma once
#include <string_view>

#include <backstitch/base/json.hpp>
#include <backstitch/dsl/expression.hpp>

namespace backstitch::test {

/// What an expression sees of one answer, and of nothing else.
class AnswerScope : public dsl::Scope {
 public:
  AnswerScope(int status, const Json& body)
      : response_{{"status", status},
                  {"headers", Json::object()},
                  {"body", body},
                  {"unreadable", false}} {}
  const Json* find(std::string_view name) const override {
    return name == "response" ? &response_ : nullptr;
  }
  const Json* step(std::string_view) const override { return nullptr; }
  const Json* step_output(std::string_view) const override { return nullptr; }

 private:
  Json response_;
};

}  // namespace backstitch::test
