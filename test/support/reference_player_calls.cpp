#include <algorithm>

#include "reference_answers.hpp"
#include "reference_player_inside.hpp"

namespace backstitch::test {
namespace {

constexpr std::size_t probes_max = 8;
constexpr Duration long_time{72 * 3'600'000L};

/// Statuses that a definition's failure rules name: what the participant may refuse with.
std::vector<int> refusals_of(const Json& step) {
  std::vector<int> statuses;
  for (const auto& rule : step.value("outcomes", Json::array())) {
    if (rule["is"] != "failure" || !rule.contains("status")) continue;
    const Json& written = rule["status"];
    for (const auto& one : written.is_array() ? written : Json::array({written}))
      if (one.is_number()) statuses.push_back(one);
  }
  return statuses;
}

}  // namespace

/// One action on its way.
struct SagaPlayer::Calling {
  const Json& step;
  const PlayedPlace& place;
  std::string kind;
  std::string key;
  PlayedPolicy policy{};
  TimePoint first{};
  std::optional<TimePoint> give_up{};  ///< by the step's `timeout`
  std::size_t attempt = 0;
  bool unknown_seen = false;
  bool timed_out = false;
  bool was_probed = false;  ///< the last answer is the probe's
  PlayedAnswer last{};
  bool is_only_forward() const { return kind == "retryable" || kind == "pivot"; }
};

Outcome SagaPlayer::action(const Json& step, const PlayedPlace& place) {
  Calling calling{step, place, kind_of(step),
                  root_ + "-" + place.path + step["name"].get<std::string>() + "-forward"};
  if (!can_be_rendered(calling)) return broken(step);
  PlayedPolicy table;
  if (calling.kind == "retryable") table = {0, Duration{1'000}, 2, Duration{300'000}, long_time};
  if (calling.kind == "pivot") table.elapsed_max = long_time;
  if (calling.kind == "pivot") table.attempts = 0;
  const Json defaults = definition_.value("defaults", Json::object());
  const Json& service = service_of(step["action"], step["action"]);
  calling.policy = policy_of({&step, &service, &defaults}, table);
  calling.first = world_.now;
  const Json limit = step.value("timeout", defaults.value("stepTimeout", Json()));
  if (const auto timeout = duration(limit, *place.frame)) calling.give_up = world_.now + *timeout;
  if (calling.kind == "pivot") set_pivot_sent(true);
  std::string how = attempts(calling);
  // An unsealed "not seen" sends what cannot go back once more.
  for (int again = 0; how == "again" && again < 3; ++again) how = attempts(calling);
  return how == "success" ? done(calling) : not_done(calling, how);
}

void SagaPlayer::set_pivot_sent(bool sent) {
  pivot_sent_ = sent;
  if (parent_ != nullptr) parent_->set_pivot_sent(sent);
}

/// @return success, failure, transient, unknown, stopped or again
std::string SagaPlayer::attempts(Calling& calling) {
  const Json& service = service_of(calling.step["action"], calling.step["action"]);
  const bool repeats_unknown = service.value("idempotency", "key") != "none";
  std::string how;
  for (std::size_t tried = 1;; ++tried) {
    ++calling.attempt;
    PlayedCall call = call_of(calling, "action", calling.step["action"]);
    calling.last = world_.participants.answer(call);
    world_.now += calling.last.took;
    calling.timed_out = calling.give_up && world_.now > *calling.give_up;
    if (calling.timed_out) world_.now = *calling.give_up;
    how = calling.timed_out ? "unknown" : meaning(calling, calling.last, "action");
    if (how == "pending") how = completed_later(calling);
    if (how == "success") return how;
    // A failure that only the table gives is tried again where nothing may fail.
    const bool final = how == "failure" && !(calling.kind == "retryable");
    if (final) return how;
    calling.unknown_seen = calling.unknown_seen || how == "unknown";
    const bool spent =
        (calling.policy.attempts != 0 && tried >= calling.policy.attempts) ||
        (calling.policy.elapsed_max && world_.now - calling.first > *calling.policy.elapsed_max);
    const bool repeats = how == "unknown" ? repeats_unknown && calling.policy.retries_unknown
                                          : calling.policy.retries_transient;
    if (calling.timed_out || spent || !repeats) break;
    if (!pivot_sent_ && stopped()) break;
    double factor = 1;
    for (std::size_t i = 1; i < tried && factor < 1e6; ++i) factor *= calling.policy.factor;
    const Duration wait{
        static_cast<std::int64_t>(static_cast<double>(calling.policy.delay.count()) * factor)};
    world_.now += std::min(wait, calling.policy.delay_max);
    if (calling.give_up && world_.now > *calling.give_up) {
      world_.now = *calling.give_up;
      calling.timed_out = true;
      break;
    }
  }
  if (!calling.unknown_seen) return "transient";
  return calling.step.contains("probe") ? probed(calling) : "unknown";
}

std::string SagaPlayer::meaning(const Calling& calling, const PlayedAnswer& answer,
                                const std::string& column) const {
  if (answer.loss == PlayedAnswer::Loss::before) return "transient";
  if (answer.loss == PlayedAnswer::Loss::after) return "unknown";
  const Json& asked = column == "probe" ? calling.step["probe"] : calling.step["action"];
  return meaning_by_contract({column, calling.unknown_seen, calling.step,
                              service_of(asked, calling.step["action"]), answer.status,
                              answer.body});
}

/// The participant answers later, by callback or poll; agreement, since it promised the work.
std::string SagaPlayer::completed_later(Calling& calling) {
  const Json completion = calling.step.value("completion", Json::object());
  const auto timeout = duration(completion.value("timeout", Json()), *calling.place.frame);
  const std::string name = calling.step["name"];
  if (!timeout) throw PlayedSuspension{name, "PENDING_FOR_EVER"};
  const PlayedCall call = call_of(calling, "poll", calling.step["action"]);
  Dice dice = world_.participants.dice_at("completion " + call.step);
  const Duration delay{dice.pick({1'000, 5'000, 50'000, 600'000, 72'000'000})};
  if (delay > *timeout) {
    world_.now += *timeout;
    return "unknown";
  }
  world_.now += delay;
  ReferenceParticipants& participants = world_.participants;
  calling.last = {PlayedAnswer::Loss::none, 200, participants.answer(call).body, Duration{50}};
  const bool polled = !completion.value("callback", false);
  const std::string how = meaning(calling, calling.last, polled ? "poll" : "callback");
  return how == "success" || how == "failure" ? how : "unknown";
}

std::string SagaPlayer::probed(Calling& calling) {
  const Json& probe = calling.step["probe"];
  PlayedCall call = call_of(calling, "probe", probe);
  call.seals = probe.value("sealed", false);
  for (call.attempt = 1; call.attempt <= probes_max; ++call.attempt) {
    const PlayedAnswer answer = world_.participants.answer(call);
    world_.now += answer.took + calling.policy.delay;
    std::string how = meaning(calling, answer, "probe");
    if (how != "success" && how != "failure") continue;
    calling.last = answer;
    calling.was_probed = true;
    if (how == "success") return how;
    if (call.seals) return how;
    return calling.is_only_forward() ? "again" : "unknown";
  }
  const std::string name = calling.step["name"];
  throw PlayedSuspension{name, "OUTCOME_UNKNOWN"};
}

/// The action, and its undo as for an unknown outcome unless a sealed probe decides.
bool SagaPlayer::can_be_rendered(const Calling& calling) const {
  const Json self{{"key", calling.key}, {"callbackUrl", "https://engine.example/c"}};
  const PlayedFrame& frame = *calling.place.frame;
  if (!renders_request(calling.step["action"], frame, {&self, nullptr, nullptr})) return false;
  const Json undo = calling.step.value("compensation", Json());
  const Json probe = calling.step.value("probe", Json::object());
  if (!undo.is_object() || probe.value("sealed", false)) return true;
  const Json unknown{
      {"key", calling.key}, {"outcome", "unknown"}, {"output", nullptr}, {"captured", nullptr}};
  PlayedFrame back;
  back.outer = calling.place.frame;
  back.failure = failure_to_json({"ANY", "failure", "any", nullptr, false});
  const PlayedNames names{&unknown, nullptr, nullptr};
  if (undo.contains("when") && !holds(undo["when"], back, names)) return false;
  return renders_request(undo, back, names);
}

Outcome SagaPlayer::done(const Calling& calling) {
  const Json& step = calling.step;
  const std::string method = method_of(step["action"]);
  PlayedDeed deed{this, &step, calling.place, calling.key};
  deed.known_done = true;
  deed.has_effect = method != "GET" && method != "HEAD";
  if (calling.kind == "pivot") pivot_passed_ = true;
  const Json response{{"status", calling.last.status},
                      {"headers", Json::object()},
                      {"body", calling.last.body},
                      {"unreadable", calling.last.body.is_string()}};
  const Json self{{"key", calling.key}};
  const PlayedNames names{&self, &response, nullptr};
  const PlayedFrame& frame = *calling.place.frame;
  const auto result = step.contains("output") ? render(step["output"], frame, names)
                                              : std::optional<Json>(calling.last.body);
  const auto captured = render(step.value("capture", Json()), frame, names);
  if (result && captured) deed.output = *result;
  if (result && captured) deed.captured = *captured;
  world_.deeds.push_back(std::move(deed));
  if (!result || !captured) return broken(step);
  finish(step, calling.place, nullptr);
  calling.place.frame->steps[step["name"]]["output"] = *result;
  return std::nullopt;
}

/// The code of the first rule that names the status; a probe's "no" is judged by its own rules.
std::string SagaPlayer::failure_code(const Calling& calling) {
  const Json& judging = calling.was_probed ? calling.step["probe"] : calling.step;
  for (const auto& rule : judging.value("outcomes", Json::array())) {
    const Json written = rule.value("status", Json());
    const bool named = written == calling.last.status ||
                       (written.is_array() && std::find(written.begin(), written.end(),
                                                        calling.last.status) != written.end());
    if (named && rule["is"] == "failure" && rule.contains("code")) return rule["code"];
  }
  return "HTTP_" + std::to_string(calling.last.status);
}

Outcome SagaPlayer::not_done(const Calling& calling, const std::string& how) {
  const std::string name = calling.step["name"];
  const bool unknown = how == "unknown" || how == "again";
  const bool must_go_on = calling.kind == "retryable" || (unknown && calling.kind == "pivot") ||
                          (calling.kind == "readonly" && (pivot_passed_ || in_handler_));
  if (must_go_on) throw PlayedSuspension{name, unknown ? "OUTCOME_UNKNOWN" : "RETRIES_EXHAUSTED"};
  if (calling.kind == "pivot") set_pivot_sent(false);
  if (how == "failure")
    return PlayedFailure{failure_code(calling), "failure", name, calling.last.body, false};
  const bool may_have_effect = unknown && calling.kind != "readonly";
  if (may_have_effect) {
    PlayedDeed deed{this, &calling.step, calling.place, calling.key};
    deed.has_effect = true;
    world_.deeds.push_back(std::move(deed));
  }
  const std::string code = calling.timed_out ? "STEP_TIMEOUT"
                           : may_have_effect ? "OUTCOME_UNKNOWN"
                                             : "RETRIES_EXHAUSTED";
  return PlayedFailure{code, may_have_effect ? "unknown" : "transient", name, nullptr, false};
}

PlayedCall SagaPlayer::call_of(const Calling& calling, const std::string& column,
                               const Json& request) const {
  PlayedCall call{column, calling.step["name"].get<std::string>() + calling.place.iteration,
                  calling.key, method_of(request), calling.attempt};
  call.refusals = refusals_of(calling.step);
  call.always_accepts = calling.kind == "retryable";
  const Json& service = service_of(calling.step["action"], calling.step["action"]);
  call.has_idempotency = service.value("idempotency", "key") != "none";
  call.body_may_be_empty = calling.step.contains("output");
  call.can_answer_later = calling.step.contains("completion");
  call.attempt_timeout = attempt_timeout(calling.step);
  return call;
}

const Json& SagaPlayer::service_of(const Json& request, const Json& action) const {
  static const Json unknown = Json::object();
  const std::string name = request.value("service", action.value("service", ""));
  const auto services = definition_.find("services");
  if (services == definition_.end() || !services->contains(name)) return unknown;
  return (*services)[name];
}

Duration SagaPlayer::attempt_timeout(const Json& step) const {
  const Json defaults = definition_.value("defaults", Json::object());
  const Json& service = service_of(step["action"], step["action"]);
  for (const Json* source : {&step, &service, &defaults}) {
    if (!source->contains("attemptTimeout")) continue;
    if (const auto found = duration((*source)["attemptTimeout"], *frame_)) return *found;
  }
  return Duration{10'000};
}

/// The first source that has a field wins; a policy may be named.
PlayedPolicy SagaPlayer::policy_of(const std::vector<const Json*>& sources,
                                   PlayedPolicy policy) const {
  Json merged = Json::object();
  for (const Json* source : sources) {
    Json retry = source->value("retry", Json::object());
    if (retry.is_string()) retry = definition_["retryPolicies"][retry.get<std::string>()];
    for (const auto& [name, value] : retry.items())
      if (!merged.contains(name)) merged[name] = value;
  }
  const auto time = [&](const char* name, Duration otherwise) {
    return merged.contains(name) ? duration(merged[name], *frame_).value_or(otherwise) : otherwise;
  };
  if (merged.contains("maxAttempts"))
    policy.attempts =
        merged["maxAttempts"].is_number() ? merged["maxAttempts"].get<std::size_t>() : 0;
  policy.delay = time("delay", policy.delay);
  policy.delay_max = time("maxDelay", policy.delay_max);
  policy.factor = merged.value("factor", policy.factor);
  if (merged.contains("maxElapsed")) policy.elapsed_max = time("maxElapsed", Duration::max());
  if (merged.contains("on")) {
    const auto& on = merged["on"];
    policy.retries_unknown = std::find(on.begin(), on.end(), "unknown") != on.end();
    policy.retries_transient = std::find(on.begin(), on.end(), "transient") != on.end();
  }
  return policy;
}

}  // namespace backstitch::test
