#include "random_grower.hpp"

namespace backstitch::test {
namespace {

Json rule(int status, const std::string& code) {
  return {{"status", status}, {"is", "failure"}, {"code", code}};
}

}  // namespace

GrownStep Grower::leaf(const Place& at) {
  const bool may_fail = !at.after_pivot && !at.forward;
  const std::size_t what = dice_.below(100);
  if (what < 15) return value(at);
  if (what < 21 && vocabulary_.pauses) return sleep(at);
  if (what < 27 && vocabulary_.pauses && !at.handler) return wait(at);
  if (what < 33 && may_fail) return fail(at, true);
  if (dice_.chance(15)) return call(at, "readonly");
  return call(at, may_fail ? "compensatable" : "retryable");
}

GrownStep Grower::call(const Place& at, const std::string& kind) {
  const std::string name = fresh("a");
  const bool reads = kind == "readonly";
  Json action{{"service", "s"}, {"http", (reads ? "GET /" : "PUT /") + name + "/${saga.id}"}};
  const bool may_fail = !at.after_pivot && !at.forward && kind != "pivot";
  if (vocabulary_.mistakes && may_fail && dice_.chance(8))
    action["http"] = action["http"].get<std::string>() + "/${input?.note ?? 'none'}";
  if (!reads && dice_.chance(40))
    action["body"] = {{"n", braced(random_number(dice_, at))}, {"key", "${self.key}"}};
  if (dice_.chance(20)) action["query"] = {{"n", braced(random_number(dice_, at))}};
  Json step{{"name", name}, {"action", action}};
  if (kind == "pivot" || kind == "retryable" || dice_.chance(30)) step["kind"] = kind;
  call_options(step, at, name, kind == "retryable");
  bool sealed = false;
  if (!reads && dice_.chance(25)) {
    sealed = dice_.chance(50);
    step["probe"] = probe(name);
    if (sealed) step["probe"]["sealed"] = true;
  }
  if (!reads && dice_.chance(12)) step["completion"] = completion(name);
  if (kind == "compensatable") step["compensation"] = compensation(at, name, sealed);
  GrownStep grown{std::move(step), at.reach};
  grown.reach.must.push_back({name, Shape::number});
  return grown;
}

void Grower::call_options(Json& step, const Place& at, const std::string& name, bool retryable) {
  if (dice_.chance(40)) {
    std::string code = name + "_TAKEN";
    code[0] = 'A';
    Json refused = rule(409, code);
    // What a proxy says of a 409 has no reason that the condition could read.
    if (dice_.chance(40)) refused["when"] = "${response.body.why == 'taken'}";
    step["outcomes"] = Json::array({std::move(refused)});
    codes_.push_back(code);
  }
  if (dice_.chance(15)) step["outcomes"].push_back(unreadable_is_unknown());
  if (retryable) {
    if (dice_.chance(30))
      step["retry"] = {{"maxAttempts", "unlimited"}, {"delay", "1s"}, {"maxElapsed", "72h"}};
  } else if (dice_.chance(50)) {
    step["retry"] = {{"maxAttempts", dice_.between(1, 3)}, {"delay", "1s"}, {"jitter", "none"}};
  }
  if (!retryable && !at.after_pivot && dice_.chance(10)) step["timeout"] = "2m";
  if (dice_.chance(10)) step["attemptTimeout"] = "5s";
  if (dice_.chance(25)) step["output"] = {{"n", "${response.body.n}"}, {"of", name}};
  if (dice_.chance(10)) step["capture"] = "${response.status}";
}

/// A page that somebody else answers is not taken for a success.
Json Grower::unreadable_is_unknown() {
  return {{"status", "2xx"}, {"when", "${response.body.n < 0}"}, {"is", "unknown"}};
}

Json Grower::probe(const std::string& name) {
  Json not_seen = rule(404, "NOT_SEEN");
  if (!vocabulary_.mistakes || dice_.chance(50))
    not_seen["when"] = "${response.body.error == 'NOT_SEEN'}";
  Json outcomes = Json::array({std::move(not_seen)});
  if (!vocabulary_.mistakes || dice_.chance(50)) outcomes.push_back(unreadable_is_unknown());
  return {{"http", "GET /" + name}, {"outcomes", std::move(outcomes)}};
}

Json Grower::completion(const std::string& name) {
  Json pending{{"when", "${response.body.state == 'PENDING'}"}, {"is", "pending"}};
  return {{"timeout", dice_.pick({"1m", "5m"})},
          {"poll",
           {{"http", "GET /polled/" + name},
            {"every", "5s"},
            {"outcomes", Json::array({std::move(pending)})}}}};
}

Json Grower::compensation(const Place& at, const std::string& name, bool may_read_output) {
  if (vocabulary_.mistakes && dice_.chance(12)) return "none";
  Json undo{{"http", "DELETE /" + name}};
  if (may_read_output && dice_.chance(50)) undo["http"] = "DELETE /" + name + "/${self.output.n}";
  if (dice_.chance(30)) undo["body"] = {{"why", "${failure.code}"}, {"key", "${self.key}"}};
  if (dice_.chance(25)) {
    undo["headers"] = {{"X-Why", "${failure.message}"}};
    undo["query"] = {{"step", "${failure.step}"}};
    undo["body"] = {{"reason", "${failure.details?.reason}"},
                    {"first", "${failure.details?[0]?.reason ?? failure.details}"}};
  }
  // It can never be rendered, so the step must not be called.
  if (vocabulary_.mistakes && !may_read_output && !at.forward && dice_.chance(4)) {
    undo["body"] = "${div(1, input.n - input.n)}";
    return undo;
  }
  if (vocabulary_.mistakes && dice_.chance(15)) {
    // Only what certainly stood before the step may be read in its undo.
    Place certain = at;
    certain.reach.may.clear();
    certain.failure = true;
    undo["when"] = dice_.chance(40) ? "${self.outcome == 'succeeded'}"
                                    : braced(random_condition(dice_, certain));
  }
  if (dice_.chance(15)) {
    undo["onExhausted"] = "continue";
    undo["retry"] = {{"maxAttempts", 2}, {"delay", "1s"}};
  } else if (dice_.chance(15)) {
    undo["retry"] = {{"maxAttempts", 2}, {"delay", "1s"}};
  }
  return undo;
}

GrownStep Grower::value(const Place& at) {
  const std::string name = fresh("v");
  std::string number = random_number(dice_, at);
  const bool breaks = vocabulary_.mistakes && !at.after_pivot && !at.forward && dice_.chance(8);
  if (breaks) number = "div(1, input.n - input.n) + " + number;
  GrownStep grown{{{"name", name}, {"value", {{"n", braced(number)}, {"of", name}}}}, at.reach};
  grown.reach.must.push_back({name, Shape::number});
  return grown;
}

GrownStep Grower::sleep(const Place& at) {
  Json how;
  switch (dice_.below(3)) {
    case 0:
      how = {{"until", "2026-01-01T00:00:00Z"}};
      break;
    case 1:
      how = {{"until", "${dateAdd(saga.startedAt, '20s')}"}};
      break;
    default:
      how = {{"for", dice_.pick({"1s", "5s", "30s"})}};
  }
  return {{{"name", fresh("z")}, {"sleep", how}}, at.reach};
}

GrownStep Grower::wait(const Place& at) {
  const std::string name = fresh("w");
  Json how{{"timeout", dice_.pick({"10s", "1m"})}};
  if (dice_.chance(80))
    how["signal"] = "go_" + name;
  else
    how["signal"] = Json::array({"go_" + name, "stop_" + name});
  const bool must_go_on = at.after_pivot || at.forward;
  if (must_go_on || dice_.chance(60)) {
    how["onTimeout"] = "continue";
    how["default"] = {{"n", braced(random_number(dice_, at))}};
  } else if (dice_.chance(50)) {
    how["onTimeout"] = "fail";
  }
  if (dice_.chance(20))
    how["schema"] = {{"type", "object"},
                     {"required", Json::array({"n"})},
                     {"properties", {{"n", {{"type", "integer"}}}}}};
  if (dice_.chance(25))
    how["accept"] = "${signal.payload.n >= " + random_number(dice_, at) + "}";
  else if (dice_.chance(25))
    how["accept"] = "${signal.payload.n >= 3}";
  if (dice_.chance(10)) how["allow"] = Json::array({"role:treasury"});
  GrownStep grown{{{"name", name}, {"wait", how}}, at.reach};
  grown.reach.must.push_back({name, Shape::signal});
  return grown;
}

GrownStep Grower::fail(const Place& at, bool conditional) {
  const std::string code = "F" + std::to_string(dice_.between(1, 3));
  Json how{{"code", code}};
  if (dice_.chance(40)) how["message"] = "stopped\r\nat ${" + random_number(dice_, at) + "}";
  if (dice_.chance(20)) how["details"] = {{"n", braced(random_number(dice_, at))}};
  codes_.push_back(code);
  GrownStep grown{{{"name", fresh("f")}, {"fail", how}}, at.reach, false};
  if (conditional) {
    grown.step["when"] = braced(random_condition(dice_, at));
    grown.ends = true;
  }
  return grown;
}

}  // namespace backstitch::test
