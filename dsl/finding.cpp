#include <backstitch/dsl/finding.hpp>

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

namespace backstitch::dsl {

bool has_errors(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; });
}

Json to_json(const Finding& finding) {
  return {{"code", finding.code},
          {"severity", finding.severity == Severity::error ? "error" : "warning"},
          {"pointer", finding.pointer},
          {"line", finding.line},
          {"column", finding.column},
          {"message", finding.message},
          {"hint", finding.hint}};
}

void sort(std::vector<Finding>& findings) {
  const auto place = [](const Finding& f) { return std::tie(f.line, f.column, f.pointer, f.code); };
  std::stable_sort(findings.begin(), findings.end(),
                   [&](const Finding& a, const Finding& b) { return place(a) < place(b); });
}

}  // namespace backstitch::dsl
