#include <backstitch/dsl/finding.hpp>

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>

#include "excerpt.hpp"

namespace backstitch::dsl {

namespace {

void bound(std::string& text) {
  if (text.size() > finding_text_bytes_max) text = excerpt(text, finding_text_bytes_max);
}

std::string there_are_more() {
  return "there are more than " + std::to_string(findings_max) + " findings; the rest is left out";
}

void bound_all(std::string& pointer, std::string& message, std::string& hint) {
  bound(message);
  bound(hint);
  if (pointer.size() > finding_pointer_bytes_max)
    pointer.resize(pointer.rfind('/', finding_pointer_bytes_max));
}

}  // namespace

void add_finding(std::vector<Finding>& findings, Finding finding) {
  bound_all(finding.pointer, finding.message, finding.hint);
  findings.push_back(std::move(finding));
}

ErrorDetail bounded(ErrorDetail detail) {
  bound_all(detail.pointer, detail.message, detail.hint);
  return detail;
}

void limit(std::vector<Finding>& findings) {
  std::size_t errors = 0;
  const auto is_over = [&](const Finding& finding) {
    return finding.severity == Severity::error && ++errors >= findings_max;
  };
  const auto all = std::count_if(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::error;
  });
  if (static_cast<std::size_t>(all) <= findings_max) return;
  const auto rest = std::find_if(findings.begin(), findings.end(), is_over);
  findings.erase(
      std::remove_if(rest, findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::error; }),
      findings.end());
  add_finding(findings,
              {"E001", Severity::error, "", 1, 1, there_are_more(), "correct these first"});
}

bool is_limited(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [more = there_are_more()](const Finding& finding) {
                       return finding.code == "E001" && finding.message == more;
                     });
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
  return {{"code", finding.code},       {"severity", to_text(finding.severity)},
          {"pointer", finding.pointer}, {"line", finding.line},
          {"message", finding.message}, {"hint", finding.hint}};
}

const char* to_text(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::info:
      return "info";
  }
  return "";
}

ShownFindings shown(const std::vector<Finding>& findings) {
  std::vector<bool> is_shown(findings.size());
  ShownFindings out{{}, findings.size()};
  std::size_t bytes = 2;
  for (const Severity severity : {Severity::error, Severity::warning, Severity::info}) {
    for (std::size_t i = 0; i < findings.size(); ++i) {
      if (findings[i].severity != severity) continue;
      bytes += json_text_size(to_json(findings[i])) + 1;
      const bool is_full = findings.size() - out.missing == findings_max;
      if (is_full || bytes > findings_bytes_max) break;
      is_shown[i] = true;
      --out.missing;
    }
  }
  for (std::size_t i = 0; i < findings.size(); ++i)
    if (is_shown[i]) out.list.push_back(findings[i]);
  return out;
}

Json json_list(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const auto& finding : findings) list.push_back(to_json(finding));
  return list;
}

void sort(std::vector<Finding>& findings) {
  const auto place = [](const Finding& f) { return std::tie(f.line, f.column, f.pointer, f.code); };
  std::stable_sort(findings.begin(), findings.end(),
                   [&](const Finding& a, const Finding& b) { return place(a) < place(b); });
}

}  // namespace backstitch::dsl
