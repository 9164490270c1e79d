#include "scope.hpp"

namespace backstitch::fuzz {

const FixedScope& FixedScope::instance() {
  static const FixedScope scope;
  return scope;
}

FixedScope::FixedScope()
    : roots_(Json::parse(R"({
    "input": {"id": "o-17", "n": 250, "price": 2.5, "big": 9223372036854775807, "none": null,
              "yes": true, "tags": ["b", "a", "b"], "text": " Grüße ", "key with space": 1,
              "time": "2026-03-01T12:00:00Z", "lines": [{"sku": "x", "qty": 2, "price": 10},
              {"sku": "y", "qty": 1, "price": 5}], "many": []},
    "saga": {"id": "019b76da-a800-7a1a-973f-0882d8f2c634", "name": "t", "version": 1,
             "businessKey": null, "startedAt": "2026-03-01T12:00:00.000Z", "labels": {"a": "b"}},
    "self": {"key": "k-1", "outcome": "succeeded", "output": {"id": "r-1"}, "captured": [1]},
    "response": {"status": 409, "headers": {"content-type": "text/plain"}, "body": "no"},
    "failure": {"code": "OUT_OF_STOCK", "class": "failure", "message": "", "step": "a",
                "details": null},
    "signal": {"payload": {"approved": false}},
    "item": {"id": "i-1"},
    "i": 3
  })")),
      steps_(Json::parse(R"({
    "a": {"output": {"id": "r-1", "n": 7}, "status": "succeeded", "attempts": 1,
          "startedAt": "2026-03-01T12:00:00.000Z", "completedAt": "2026-03-01T12:00:01.000Z"},
    "b": {"output": null, "status": "succeeded", "attempts": 2,
          "startedAt": "2026-03-01T12:00:00.000Z", "completedAt": "2026-03-01T12:00:01.000Z"}
  })")) {
  Json& many = roots_["input"]["many"];
  for (int i = 0; i < 200; ++i) many.push_back(i);
}

const Json* FixedScope::find(std::string_view name) const {
  const auto found = roots_.find(std::string(name));
  return found == roots_.end() ? nullptr : &*found;
}

const Json* FixedScope::step(std::string_view name) const {
  const auto found = steps_.find(std::string(name));
  return found == steps_.end() ? nullptr : &*found;
}

const Json* FixedScope::step_output(std::string_view name) const {
  const Json* whole = step(name);
  return whole == nullptr ? nullptr : &whole->at("output");
}

}  // namespace backstitch::fuzz
