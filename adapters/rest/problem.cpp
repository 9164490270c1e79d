#include "problem.hpp"

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/finding_text.hpp>

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
    case 415:
      return "Unsupported media type";
    case 421:
      return "Misdirected request";
    case 422:
      return "Unprocessable content";
    case 431:
      return "Request header fields too large";
    case 501:
      return "Not implemented";
    case 505:
      return "HTTP version not supported";
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
  reply.code = body.at("code").get<std::string>();
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
             : error.reason == "content-type-unsupported" ? 415
                                                          : 400;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::conflict:
      return error.reason == "callback-too-late" ? 410 : 409;
    case ErrorCode::forbidden:
      return error.reason == "host-refused" ? 421 : 403;
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
    std::size_t bytes = 0;
    for (const auto& detail : error.details) {
      Json one{{"pointer", detail.pointer}, {"code", detail.code}, {"message", detail.message}};
      bytes += json_text_size(one) + 1;
      const bool is_full = errors.size() == dsl::findings_max || bytes > dsl::findings_bytes_max;
      if (is_full && !errors.empty()) break;
      errors.push_back(std::move(one));
    }
    const std::size_t missing = error.details.size() - errors.size();
    body["errors"] = std::move(errors);
    if (missing > 0) body["errorsMissing"] = missing;
  }
  if (!error.saga.empty()) body["saga"] = error.saga;
  return reply_with(status, body);
}

Reply problem(int status, std::string_view code, std::string_view message) {
  return reply_with(status, document(status, code, message));
}

void add_findings(Json& body, const std::vector<dsl::Finding>& findings) {
  const auto shown = dsl::shown(findings);
  body["findings"] = json_list(shown.list);
  if (shown.missing > 0) body["findingsMissing"] = shown.missing;
}

Reply findings_problem(const std::string& refused, const std::vector<dsl::Finding>& findings) {
  Json body = document(422, refused + "-invalid",
                       dsl::summary(findings, "the " + refused) + "; nothing was stored.");
  add_findings(body, findings);
  return reply_with(422, body);
}

}  // namespace backstitch::rest
