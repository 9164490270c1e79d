#include <backstitch/engine/machine/answer_marks.hpp>

#include <backstitch/dsl/header_field.hpp>

namespace backstitch::engine {

const std::string& key_carried(const RenderedRequest& request) {
  if (!request.key.empty()) return request.key;
  return request.compensates.empty() ? request.probes : request.compensates;
}

std::string foreign_answer(const dsl::AnswerMarks& marks, const RenderedRequest& request,
                           const std::vector<std::pair<std::string, std::string>>& headers) {
  if (marks.echo.empty()) return {};
  bool found = false;
  for (const auto& [name, value] : headers) {
    if (!dsl::is_same_header(name, marks.echo)) continue;
    if (value != key_carried(request))
      return "its header " + marks.echo + " has another key than the call";
    found = true;
  }
  return found ? "" : "it lacks the header " + marks.echo + " with the key of the call";
}

}  // namespace backstitch::engine
