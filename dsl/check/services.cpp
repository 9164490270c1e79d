/// Services, requests and outcome rules.
#include <algorithm>
#include <map>
#include <set>

#include "../parse_reader.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

/// Headers that the engine or HTTP itself sets.
const std::set<std::string>& forbidden_headers() {
  static const std::set<std::string> names{"host",
                                           "content-length",
                                           "transfer-encoding",
                                           "connection",
                                           "authorization",
                                           "proxy-authorization",
                                           "idempotency-key",
                                           "saga-id",
                                           "saga-step",
                                           "saga-phase",
                                           "saga-attempt",
                                           "saga-compensates",
                                           "saga-callback",
                                           "traceparent",
                                           "tracestate",
                                           "expect",
                                           "upgrade",
                                           "te",
                                           "trailer",
                                           "keep-alive"};
  return names;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

class Services {
 public:
  explicit Services(const Check& check) : check_(check) {}

  void run() {
    for (const auto& [name, service] : check_.definition.services) one(name, service);
    for_each_step(check_.definition, [&](const Step& step) {
      for (const auto& use : requests_of(step)) request(step, use);
      if (const auto* action = std::get_if<Action>(&step.body)) action_rules(step, *action);
    });
    for (const auto& [name, service] : check_.definition.services) {
      if (used_.count(name) == 0) {
        check_.warning("W301", "/services/" + escaped_pointer(name),
                       "the service `" + name + "` is never used", "remove it");
      }
    }
  }

 private:
  void one(const std::string& name, const Service& service) {
    const std::string at = "/services/" + escaped_pointer(name);
    if (!service.use.empty()) {
      if (check_.context.service && !check_.context.service(service.use)) {
        check_.error("E303", at + "/use",
                     "no service `" + service.use + "` is registered in this environment",
                     "register it: backstitch services put " + service.use + " FILE");
      }
      return;
    }
    if (!service.local && check_.context.refuse_url) {
      const std::string refused = check_.context.refuse_url(service.base_url);
      if (!refused.empty()) check_.error("E303", at + "/baseUrl", refused);
    }
    for (const auto& [secret, member] :
         {std::pair{service.auth.secret, "/auth/secret"}, std::pair{service.tls.ca, "/tls/ca"},
          std::pair{service.tls.client_cert, "/tls/clientCert"}}) {
      if (!secret.empty() && check_.context.has_secret && !check_.context.has_secret(secret)) {
        check_.error("E303", at + member,
                     "there is no secret `" + secret + "` in this environment");
      }
    }
    for (const auto& [header, value] : service.headers) {
      header_name(at + "/headers/" + escaped_pointer(header), header);
      if (value.find_first_of("\r\n") != std::string::npos) {
        check_.error("E304", at + "/headers/" + escaped_pointer(header),
                     "the header `" + header + "` holds a line break");
      }
    }
    limits(at + "/limits", service.limits);
    outcome_rules(service.outcomes, false);
  }

  void limits(const std::string& at, const ServiceLimits& limits) {
    if (limits.burst && !limits.rate_per_second)
      check_.error("E305", at + "/burst", "`burst` has no meaning without `ratePerSecond`");
    if (limits.queue_max && !limits.in_flight_max)
      check_.error("E305", at + "/maxQueue", "`maxQueue` has no meaning without `maxInFlight`");
    if (limits.rate_per_second && *limits.rate_per_second <= 0)
      check_.error("E305", at + "/ratePerSecond", "a rate is more than 0");
    if (limits.breaker && limits.breaker->failure_ratio <= 0) {
      check_.error("E305", at + "/breaker/failureRatio",
                   "a breaker with this ratio would always be open");
    }
  }

  void header_name(const std::string& pointer, const std::string& name) {
    const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 ||
             std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                 std::string_view::npos;
    });
    if (!token)
      check_.error("E304", pointer, "\"" + name + "\" is no name of a header");
    else if (forbidden_headers().count(lower(name)) > 0) {
      check_.error("E304", pointer, "the header `" + name + "` is set by the engine",
                   "remove it; authentication belongs to the service");
    }
  }

  void request(const Step& step, const RequestUse& use) {
    const std::string& at = use.request->pointer;
    used_.insert(use.service);
    const auto declared = check_.definition.services.find(use.service);
    if (declared == check_.definition.services.end()) {
      // A service that is inherited was reported where it is named.
      if (!use.request->service.empty()) {
        std::vector<std::string> names;
        for (const auto& [name, service] : check_.definition.services) names.push_back(name);
        const std::string near = nearest(use.service, names);
        check_.error("E302", at + "/service", "the service `" + use.service + "` is not declared",
                     near.empty() ? "declare it under `services`" : "did you mean `" + near + "`?");
      }
    } else {
      protocol(use, at);
    }
    path(*use.request, at);
    for (const auto& header : use.request->headers) {
      const std::string where = at + "/headers/" + escaped_pointer(header.name);
      header_name(where, header.name);
      const Json& source = header.value.source();
      if (header.value.is_constant() && source.is_string() &&
          source.get_ref<const std::string&>().find_first_of("\r\n") != std::string::npos) {
        check_.error("E304", where, "the header `" + header.name + "` holds a line break");
      }
    }
    methods(step, use, at);
    const bool pending_ok = std::string_view(use.role) != "compensation" &&
                            std::get<Action>(step.body).completion.has_value();
    outcome_rules(*use.outcomes, pending_ok || std::string_view(use.role) == "probe");
  }

  void protocol(const RequestUse& use, const std::string& at) {
    const Service* service = check_.service(use.service);
    if (service == nullptr) return;
    if (service->local && use.request->path)
      check_.error("E306", at + "/http", "`http` on the local service `" + use.service + "`",
                   "write \"operation\"");
    if (!service->local && !use.request->path && !use.request->operation.empty()) {
      check_.error("E306", at + "/operation",
                   "`operation` on the http service `" + use.service + "`", "write \"http\"");
    }
    if (service->local && !use.request->operation.empty() && check_.context.has_operation &&
        !check_.context.has_operation(use.service, use.request->operation)) {
      check_.error("E306", at + "/operation",
                   "the local operation `" + use.request->operation + "` is not registered");
    }
  }

  /// Segments that lead upwards, also encoded ones, and what would end the path.
  void path(const Request& request, const std::string& at) {
    if (!request.path) return;
    const std::string text = request.path->skeleton();
    const std::string only_path = text.substr(0, text.find('?'));
    bool bad = text.find_first_of("#\\ ") != std::string::npos ||
               only_path.find("//") != std::string::npos;
    std::size_t begin = 1;
    while (begin <= only_path.size()) {
      const auto end = std::min(only_path.find('/', begin), only_path.size());
      const std::string segment = lower(only_path.substr(begin, end - begin));
      bad = bad || segment == "." || segment == ".." || segment.find("%2e") != std::string::npos ||
            segment.find("%2f") != std::string::npos;
      begin = end + 1;
    }
    if (bad) {
      check_.error(
          "E304", at + "/http", "the path can leave the service's base URL",
          "no empty, `.` or `..` segments, no `#`, `\\` or spaces, and no encoded dots or slashes");
    }
  }

  void methods(const Step& step, const RequestUse& use, const std::string& at) {
    if (!use.request->path) return;
    const Method method = use.request->method;
    const bool reads = method == Method::get || method == Method::head;
    const std::string_view role = use.role;
    if (role == "compensation" && reads)
      check_.error("E220", at + "/http", "the undo of `" + step.name + "` only reads",
                   "an undo is a POST, PUT, PATCH or DELETE");
    if ((role == "probe" || role == "poll") && !reads) {
      check_.error("E220", at + "/http",
                   "the " + std::string(role) + " of `" + step.name + "` may change something",
                   "write a GET or HEAD");
    }
    if (role == "action" && !reads && step.kind == StepKind::readonly) {
      check_.warning("W235", step.pointer,
                     "`" + step.name + "` is readonly and yet a " + to_text(method));
    }
  }

  void action_rules(const Step& step, const Action& action) {
    if (action.completion && !action.completion->callback && !action.completion->poll) {
      check_.error("E221", step.pointer + "/completion",
                   "`completion` has neither a callback nor a poll");
    }
    const Service* service = check_.service(action.request.service);
    const bool creates = action.request.path && (action.request.method == Method::post ||
                                                 action.request.method == Method::put);
    if (service == nullptr || service->idempotency == Idempotency::key || !creates ||
        !is_effectful(step))
      return;
    const auto speaks_of_409 = [](const std::vector<OutcomeRule>& rules) {
      return std::any_of(rules.begin(), rules.end(), [](const OutcomeRule& rule) {
        return std::any_of(rule.status.begin(), rule.status.end(),
                           [](const auto& r) { return r.first <= 409 && 409 <= r.last; });
      });
    };
    if (!speaks_of_409(action.outcomes) && !speaks_of_409(service->outcomes)) {
      check_.warning(
          "W304", step.pointer,
          "`" + step.name + "` says nothing about 409 on a service that does not replay answers",
          "after an unknown attempt 409 may be the echo of our own first call");
    }
  }

  void outcome_rules(const std::vector<OutcomeRule>& rules, bool pending_allowed) {
    std::vector<const OutcomeRule*> before;
    for (const auto& rule : rules) {
      if (std::any_of(rule.status.begin(), rule.status.end(),
                      [](const auto& r) { return r.first > r.last; })) {
        check_.error("E305", rule.pointer + "/status", "the range of statuses is empty");
      }
      if (rule.is == OutcomeClass::pending && !pending_allowed) {
        check_.error("E221", rule.pointer + "/is", "`pending` on a step without `completion`",
                     "add \"completion\"");
      }
      if (rule.is == OutcomeClass::failure && rule.code.empty()) {
        check_.warning("W303", rule.pointer, "a failure without a code",
                       "add \"code\", so that catches and people can tell it apart");
      }
      if (std::any_of(before.begin(), before.end(),
                      [&](const auto* earlier) { return covers(*earlier, rule); })) {
        check_.error("E305", rule.pointer, "an earlier rule matches everything that this one does");
      }
      before.push_back(&rule);
    }
  }

  static bool covers(const OutcomeRule& earlier, const OutcomeRule& rule) {
    if (earlier.when || earlier.transport != rule.transport) return false;
    if (earlier.transport) return true;
    if (earlier.status.empty()) return true;
    return !rule.status.empty() &&
           std::all_of(rule.status.begin(), rule.status.end(), [&](const auto& wanted) {
             return std::any_of(earlier.status.begin(), earlier.status.end(), [&](const auto& r) {
               return r.first <= wanted.first && wanted.last <= r.last;
             });
           });
  }

  const Check& check_;
  std::set<std::string> used_;
};

}  // namespace

void check_services(const Check& check) {
  Services(check).run();
}

}  // namespace backstitch::dsl
