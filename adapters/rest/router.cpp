#include "router.hpp"

#include <algorithm>
#include <utility>

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

/// The declaration of the parameter; null: the route has none.
const QueryParameter* declaration_of(const QueryParameters& declared, const std::string& name) {
  const auto found = std::find_if(declared.begin(), declared.end(), [&](const QueryParameter& one) {
    return one.is_prefix ? name.size() > one.name.size() && name.starts_with(one.name)
                         : name == one.name;
  });
  return found == declared.end() ? nullptr : &*found;
}

std::string names_of(const QueryParameters& declared) {
  std::string names;
  for (const auto& one : declared) {
    if (!names.empty()) names += &one == &declared.back() ? " and " : ", ";
    names += "`" + one.name + (one.is_prefix ? "NAME`" : "`");
  }
  return names;
}

}  // namespace

QueryParameter QueryParameter::repeatable(const char* name) {
  QueryParameter parameter(name);
  parameter.may_repeat = true;
  return parameter;
}

QueryParameter QueryParameter::prefix(const char* name) {
  QueryParameter parameter(name);
  parameter.is_prefix = true;
  return parameter;
}

void Router::add(std::string method, std::string pattern, QueryParameters query, Handler handler,
                 Access access, Load load) {
  auto parsed = parse_target(pattern);
  BACKSTITCH_INVARIANT(parsed.has_value(), "a route's pattern is a path");
  routes_.push_back({std::move(method), std::move(pattern), std::move(parsed->segments),
                     std::move(query), std::move(handler), access, load});
}

Router::Match Router::find(const Request& request) const {
  Match match;
  std::optional<Match> as_get;
  for (const auto& candidate : routes_) {
    if (!matches(candidate.segments, request.segments, match.captured)) continue;
    if (candidate.method == request.method) {
      match.route = &candidate;
      return match;
    }
    if (request.method == "HEAD" && candidate.method == "GET")
      as_get = Match{&candidate, match.captured, {}};
    match.allowed += (match.allowed.empty() ? "" : ", ") + candidate.method;
  }
  return as_get ? std::move(*as_get) : match;
}

std::optional<Error> Router::refuse_query(const Route& route, const Request& request) {
  for (const auto& [name, value] : request.query) {
    const auto* declared = declaration_of(route.query, name);
    const std::string shown = "`" + name.substr(0, 100) + "`";
    if (declared == nullptr) {
      const std::string known =
          route.query.empty() ? "it takes none" : "known are " + names_of(route.query);
      return Error{ErrorCode::invalid, "query-invalid",
                   "Unknown query parameter " + shown + " of " + route.method + " " +
                       route.pattern + "; " + known + ". Nothing was done."};
    }
    if (!declared->may_repeat && request.query.count(name) > 1) {
      return Error{ErrorCode::invalid, "query-invalid",
                   "The query parameter " + shown +
                       " appears several times; send it once. Nothing was done."};
    }
  }
  return std::nullopt;
}

void Router::route(Match match, Request request, Respond respond) {
  if (match.route != nullptr) {
    if (const auto refused = refuse_query(*match.route, request)) return respond(problem(*refused));
    return match.route->handler(std::move(request), std::move(match.captured), std::move(respond));
  }
  if (match.allowed.empty()) {
    return respond(problem(404, "resource-not-found",
                           "There is nothing at " + request.path.substr(0, 200) +
                               "; paths of the API begin with /v1/."));
  }
  Reply reply = problem(
      405, "method-not-allowed",
      request.path + " does not take " + request.method + "; it takes " + match.allowed + ".");
  reply.headers.emplace_back("Allow", match.allowed);
  respond(std::move(reply));
}

}  // namespace backstitch::rest
