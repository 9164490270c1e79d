#include "problem.hpp"

#include <nlohmann/json.hpp>

namespace backstitch::rest {
namespace {

const char* title_of(int status) {
  switch (status) {
    case 400:
      return "Bad request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not found";
    case 405:
      return "Method not allowed";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content too large";
    case 422:
      return "Unprocessable content";
    case 431:
      return "Request header fields too large";
    case 503:
      return "Service unavailable";
    default:
      return "Internal error";
  }
}

Json document(int status, std::string_view code, std::string_view message) {
  return Json{{"type", "/errors/" + std::string(code)},
              {"title", title_of(status)},
              {"status", status},
              {"code", code},
              {"detail", message}};
}

Reply reply_with(int status, const Json& body) {
  Reply reply = json_reply(status, body);
  reply.content_type = "application/problem+json";
  if (status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace

int status_of(const Error& error) {
  switch (error.code) {
    // A document that was read but breaks a rule is 422; a request that could not be read is 400.
    case ErrorCode::invalid:
      return error.reason == "INPUT_INVALID" || error.reason == "signal-refused" ||
                     error.reason == "compensation-not-renderable" ||
                     error.reason == "output-missing"
                 ? 422
                 : 400;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::conflict:
      return error.reason == "callback-too-late" ? 410 : 409;
    case ErrorCode::forbidden:
      return 403;
    case ErrorCode::overloaded:
    case ErrorCode::unavailable:
    case ErrorCode::outcome_unknown:
    case ErrorCode::fenced:
      return 503;
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

Reply problem(const Error& error) {
  const int status = status_of(error);
  Json body = document(status, error.reason, error.message);
  if (!error.details.empty()) {
    Json errors = Json::array();
    for (const auto& detail : error.details) {
      errors.push_back(
          {{"pointer", detail.pointer}, {"code", detail.code}, {"message", detail.message}});
    }
    body["errors"] = std::move(errors);
  }
  return reply_with(status, body);
}

Reply problem(int status, std::string_view code, std::string_view message) {
  return reply_with(status, document(status, code, message));
}

Reply findings_problem(const std::vector<dsl::Finding>& findings) {
  Json body = document(422, "definition-invalid",
                       std::to_string(findings.size()) + " finding(s); nothing was stored.");
  body["findings"] = Json::array();
  for (const auto& finding : findings) body["findings"].push_back(to_json(finding));
  return reply_with(422, body);
}

}  // namespace backstitch::rest
