#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gate.hpp"
#include "message.hpp"

namespace backstitch::rest {

/// A query parameter that a route takes. It may appear once, unless it is repeatable.
struct QueryParameter {
  QueryParameter(const char* its_name) : name(its_name) {}  // NOLINT(*-explicit-*)
  static QueryParameter repeatable(const char* name);
  /// Every parameter whose name begins with `name`; each of them once.
  static QueryParameter prefix(const char* name);

  std::string name;
  bool may_repeat = false;
  bool is_prefix = false;
};
using QueryParameters = std::vector<QueryParameter>;

/// What the handler of a route costs before it hands over to the engine.
enum class Load {
  by_body,  ///< it reads the body, if there is one
  heavy,    ///< it parses and checks documents: never on a reactor
};

/// Matches method and path against a table. Patterns are like `/v1/sagas/{}/cancel`; what the
/// braces matched is handed over in order. Built once, then read from any thread.
class Router {
 public:
  using Handler = std::function<void(Request, std::vector<std::string> captured, Respond)>;
  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    QueryParameters query;
    Handler handler;
    Access access;
    Load load;
  };
  struct Match {
    const Route* route = nullptr;
    std::vector<std::string> captured{};
    std::string allowed{};  ///< methods of the path, if no route has the request's

    /// Where there is no route, as of any other.
    Access access() const { return route == nullptr ? Access::api : route->access; }
    Load load() const { return route == nullptr ? Load::by_body : route->load; }
  };

  /// A request with a query parameter that is not in `query` never reaches the handler.
  void add(std::string method, std::string pattern, QueryParameters query, Handler handler,
           Access access = Access::api, Load load = Load::by_body);
  /// Without a route of its own HEAD is GET, whose answer is sent without its body.
  Match find(const Request& request) const;
  /// Answers itself what no route takes: 404, 405, or 400 for the query.
  /// @param match  of the request, by find()
  static void route(Match match, Request request, Respond respond);
  /// The largest body the path may have, given the bounds for ordinary and batch requests.
  static bool is_batch(std::string_view path) { return path == "/v1/sagas/batch"; }
  /// About the process, not its sagas.
  static bool is_of_system(std::string_view path) { return !path.starts_with("/v1/"); }

 private:
  static std::optional<Error> refuse_query(const Route& route, const Request& request);

  std::vector<Route> routes_;
};

}  // namespace backstitch::rest
