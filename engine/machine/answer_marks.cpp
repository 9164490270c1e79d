#include <backstitch/engine/machine/answer_marks.hpp>

#include <algorithm>

#include <backstitch/dsl/header_field.hpp>

namespace backstitch::engine {

const std::string& key_carried(const RenderedRequest& request) {
  if (!request.key.empty()) return request.key;
  return request.compensates.empty() ? request.probes : request.compensates;
}

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr int no_content = 204;

std::string without_echo(const dsl::AnswerMarks& marks, const RenderedRequest& request,
                         const Headers& headers) {
  bool found = false;
  for (const auto& [name, value] : headers) {
    if (!dsl::is_same_header(name, marks.echo)) continue;
    if (value != key_carried(request))
      return "its header " + marks.echo + " has another key than the call";
    found = true;
  }
  return found ? "" : "it lacks the header " + marks.echo + " with the key of the call";
}

std::string without_header(const dsl::AnswerMarks& marks, const Headers& headers) {
  const bool found = std::any_of(headers.begin(), headers.end(), [&](const auto& header) {
    return dsl::is_same_header(header.first, marks.header) && header.second == marks.value;
  });
  return found ? "" : "it lacks the header " + marks.header + ": " + marks.value;
}

/// A 204 has no content, and so no type.
std::string without_type(const dsl::AnswerMarks& marks, int status, const Headers& headers) {
  if (status == no_content) return {};
  std::string type;
  for (const auto& [name, value] : headers) {
    if (dsl::is_same_header(name, "content-type")) type = dsl::media_type_of(value);
  }
  const bool is_one = std::any_of(
      marks.content_types.begin(), marks.content_types.end(), [&](const std::string& wanted) {
        return type == wanted || (wanted == "application/json" && type.ends_with("+json"));
      });
  if (is_one) return {};
  return type.empty() ? "it has no content type" : "its content type is " + type;
}

}  // namespace

std::string foreign_answer(const dsl::AnswerMarks& marks, const RenderedRequest& request,
                           int status, const Headers& headers) {
  if (!marks.echo.empty()) return without_echo(marks, request, headers);
  if (!marks.header.empty()) return without_header(marks, headers);
  return marks.content_types.empty() ? std::string{} : without_type(marks, status, headers);
}

}  // namespace backstitch::engine
