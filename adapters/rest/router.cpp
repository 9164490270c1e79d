#include "router.hpp"

#include "problem.hpp"

namespace backstitch::rest {
namespace {

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& segments,
             std::vector<std::string>& captured) {
  if (pattern.size() != segments.size()) return false;
  captured.clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == "{}") {
      captured.push_back(segments[i]);
    } else if (pattern[i] != segments[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

void Router::add(std::string method, std::string pattern, Handler handler) {
  auto parsed = parse_target(pattern);
  BACKSTITCH_INVARIANT(parsed.has_value(), "a route's pattern is a path");
  routes_.push_back({std::move(method), std::move(parsed->segments), std::move(handler)});
}

void Router::route(Request request, Respond respond) const {
  std::vector<std::string> captured;
  std::string allowed;
  for (const auto& candidate : routes_) {
    if (!matches(candidate.segments, request.segments, captured)) continue;
    if (candidate.method == request.method) {
      candidate.handler(std::move(request), std::move(captured), std::move(respond));
      return;
    }
    allowed += (allowed.empty() ? "" : ", ") + candidate.method;
  }
  if (allowed.empty()) {
    respond(problem(404, "resource-not-found", "There is nothing at " + request.path + "."));
    return;
  }
  Reply reply =
      problem(405, "method-not-allowed",
              request.path + " does not take " + request.method + "; it takes " + allowed + ".");
  reply.headers.emplace_back("Allow", allowed);
  respond(std::move(reply));
}

}  // namespace backstitch::rest
