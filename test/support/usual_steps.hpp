#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// A step of a test that is only a text is short for a usual one: "a" can be undone, "a!" is a
/// pivot, "a+" is retryable and is given up at once when it is refused with 404, 409 or 410.
inline Json usual_step(std::string name, const std::string& service) {
  const char last = name.back();
  if (last == '!' || last == '+') name.pop_back();
  Json step{{"name", name}, {"action", {{"service", service}, {"http", "PUT /" + name}}}};
  if (last == '!') {
    step["kind"] = "pivot";
  } else if (last == '+') {
    step["kind"] = "retryable";
    step["outcomes"] = Json::array({{{"status", {404, 409, 410}}, {"is", "failure"}}});
  } else {
    step["compensation"] = {{"http", "DELETE /" + name}};
  }
  return step;
}

/// Writes short steps out, in lists that can hold steps only. They call `service`.
inline void write_out_steps(Json& node, const std::string& service, bool steps = false) {
  if (node.is_object()) {
    for (auto& [name, value] : node.items()) {
      const bool list = name == "steps" || name == "onFailure" || name == "onSuspended";
      if (name == "branches" && value.is_object()) {
        for (auto& [branch, inner] : value.items()) write_out_steps(inner, service, true);
      } else {
        write_out_steps(value, service, list);
      }
    }
  } else if (node.is_array()) {
    for (auto& item : node) {
      if (steps && item.is_string()) item = usual_step(item.get<std::string>(), service);
      write_out_steps(item, service);
    }
  }
}

}  // namespace backstitch::test
