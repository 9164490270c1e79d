// Faults about what participants answer: probes, outcomes, idempotency.
#include "seeding.hpp"

namespace backstitch::test {
namespace {

Json not_seen(bool reads_body) {
  Json rule{{"status", 404}, {"is", "failure"}, {"code", "NOT_DONE"}};
  if (reads_body) rule["when"] = "${response.body.error == 'NOT_SEEN'}";
  return rule;
}

Json page_is_unknown() {
  return {{"status", "2xx"}, {"when", "${response.body.id == null}"}, {"is", "unknown"}};
}

Json sealed_probe(const Json& step, const Json& outcomes) {
  return {{"http", "GET /asked/" + step["name"].get<std::string>() + "/${self.key}"},
          {"sealed", true},
          {"outcomes", outcomes}};
}

bool can_be_probed(const FoundStep& found) {
  return is_undoable(found) || is_pivot(found);
}

/// The saga's inline services take every call as a new one.
std::vector<Mutant> not_idempotent(const Json& definition, const Fits& fits) {
  return change_around(definition, fits, [](Json& changed, const FoundStep& found) {
    Json& service = changed["services"][found.step->at("action")["service"].get<std::string>()];
    if (!service.contains("use")) service["idempotency"] = "none";
  });
}

}  // namespace

std::vector<FaultKind> service_faults() {
  return {
      {"retryable-not-idempotent",
       "A retryable step calls a service that repeats effects",
       {"E209"},
       [](const Json& d) {
         return not_idempotent(d, [](const FoundStep& found) {
           return found.is_action() && kind_of_step(*found.step) == "retryable";
         });
       }},
      {"pivot-not-idempotent",
       "A pivot calls a service that repeats effects",
       {"E212", "E209"},
       [](const Json& d) {
         return not_idempotent(d, [](const FoundStep& found) {
           const Json probe = found.step->value("probe", Json::object());
           return is_pivot(found) && !probe.value("sealed", false);
         });
       }},
      {"probe-sealed-by-router",
       "A bare 404, which a router answers, settles an unknown outcome",
       {"W306"},
       [](const Json& d) {
         return change_each(d, can_be_probed, [](Json& step) {
           step["probe"] = sealed_probe(step, Json::array({not_seen(false), page_is_unknown()}));
         });
       }},
      {"probe-believes-login-page",
       "A login page's 200 is taken for done",
       {"W306"},
       [](const Json& d) {
         return change_each(d, can_be_probed, [](Json& step) {
           step["probe"] = sealed_probe(step, Json::array({not_seen(true)}));
         });
       }},
      {"probe-changes",
       "A probe is a request with an effect",
       {"E220"},
       [](const Json& d) {
         return change_each(d, can_be_probed, [](Json& step) {
           step["probe"] = sealed_probe(step, Json::array({not_seen(true), page_is_unknown()}));
           step["probe"]["http"] = "PUT /asked/${self.key}";
         });
       }},
      {"undo-believes-router",
       "A router's 404 is taken for undone",
       {"W306"},
       [](const Json& d) {
         return change_each(d, is_undoable, [](Json& step) {
           step["compensation"]["outcomes"] = Json::array({{{"status", 404}, {"is", "success"}}});
         });
       }},
      {"pending-for-ever",
       "An answer means pending on a step that awaits no later answer",
       {"E221"},
       [](const Json& d) {
         return change_each(
             d,
             [](const FoundStep& found) {
               return found.is_action() && !found.step->contains("completion");
             },
             [](Json& step) {
               step["outcomes"] = Json::array({{{"status", "2xx"}, {"is", "pending"}}});
             });
       }},
  };
}

}  // namespace backstitch::test
