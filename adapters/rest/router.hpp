#pragma once
#include <functional>
#include <string>
#include <vector>

#include "message.hpp"

namespace backstitch::rest {

/// Matches method and path against a table. Patterns are like `/v1/sagas/{}/cancel`; what the
/// braces matched is handed over in order. Built once, then read from any thread.
class Router {
 public:
  using Handler = std::function<void(Request, std::vector<std::string> captured, Respond)>;

  void add(std::string method, std::string pattern, Handler handler);
  /// Answers 404 or 405 itself.
  void route(Request request, Respond respond) const;
  /// The largest body the path may have, given the bounds for ordinary and batch requests.
  static bool is_batch(std::string_view path) { return path == "/v1/sagas/batch"; }
  /// About the process, not its sagas.
  static bool is_of_system(std::string_view path) { return !path.starts_with("/v1/"); }

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace backstitch::rest
