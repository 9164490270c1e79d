#include <backstitch/dsl/finding.hpp>

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

namespace backstitch::dsl {

void limit(std::vector<Finding>& findings) {
  std::size_t errors = 0;
  const auto is_over = [&](const Finding& finding) {
    return finding.severity == Severity::error && ++errors > findings_max;
  };
  const auto rest = std::find_if(findings.begin(), findings.end(), is_over);
  if (rest == findings.end()) return;
  findings.erase(
      std::remove_if(rest, findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; }),
      findings.end());
  findings.push_back(
      {"E001", Severity::error, "", 1, 1,
       "there are more than " + std::to_string(findings_max) + " findings; the rest is left out",
       "correct these first"});
}

bool has_errors(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; });
}

Error with_errors(Error error, const std::vector<Finding>& findings) {
  for (const auto& finding : findings) {
    if (finding.severity == Severity::error)
      error.details.push_back({finding.pointer, finding.code, finding.message});
  }
  return error;
}

Json to_json(const Finding& finding) {
  return {{"code", finding.code},
          {"severity", finding.severity == Severity::error ? "error" : "warning"},
          {"pointer", finding.pointer},
          {"line", finding.line},
          {"message", finding.message},
          {"hint", finding.hint}};
}

void sort(std::vector<Finding>& findings) {
  const auto place = [](const Finding& f) { return std::tie(f.line, f.column, f.pointer, f.code); };
  std::stable_sort(findings.begin(), findings.end(),
                   [&](const Finding& a, const Finding& b) { return place(a) < place(b); });
}

}  // namespace backstitch::dsl
