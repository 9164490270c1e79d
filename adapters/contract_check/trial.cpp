#include "trial.hpp"

#include <algorithm>
#include <thread>

#include <backstitch/base/ascii.hpp>

#include "example_input.hpp"

namespace backstitch::contract_check {

using namespace engine;

namespace {

constexpr int tries_max = 5;
constexpr std::chrono::milliseconds between_tries{300};
constexpr std::size_t body_shown_max = 120;
/// A saga that is suspended has asked for its handlers after this time.
constexpr std::chrono::seconds handlers_begin{1};

/// New for every saga, in hexadecimal; the end of a random identifier.
std::string new_run() {
  system::SystemRandom random;
  static constexpr char digits[] = "0123456789abcdef";
  std::string run;
  for (std::uint64_t bits = random.next(), i = 0; i < 8; ++i, bits >>= 4) run += digits[bits & 15U];
  return run;
}

/// A member that may be null or absent.
std::string text_of(const Json& json, const char* member) {
  const auto found = json.is_object() ? json.find(member) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>()
                                                                       : "";
}

RequestKind kind_of(Phase phase) {
  switch (phase) {
    case Phase::forward:
      return RequestKind::action;
    case Phase::compensate:
      return RequestKind::compensation;
    case Phase::probe:
      return RequestKind::probe;
    case Phase::poll:
      return RequestKind::poll;
  }
  return RequestKind::action;
}

/// The engine sends no second copy of such a call after an unknown outcome.
bool is_sent_once(const Call& call) {
  return call.phase == Phase::forward && call.service->idempotency == dsl::Idempotency::none;
}

std::string shown(const Json& body) {
  std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > body_shown_max) text = text.substr(0, body_shown_max) + "…";
  return text;
}

}  // namespace

bool Reply::timed_out() const {
  const auto* error = std::get_if<TransportError>(&result);
  return error != nullptr && error->sent && error->kind == dsl::Transport::timeout;
}

bool Reply::answered() const {
  const auto* error = std::get_if<TransportError>(&result);
  return error == nullptr || (error->sent && !timed_out());
}

std::string Reply::text() const {
  if (const auto* error = std::get_if<TransportError>(&result)) return error->message;
  const auto& response = std::get<Response>(result);
  if (!response.foreign.empty())
    return std::to_string(response.status) + ", not as the participant's own: " + response.foreign;
  return std::to_string(response.status) +
         (response.body.is_null() ? "" : " " + shown(response.body));
}

std::string step_name_of(const Call& call) {
  const std::string path = call.path;
  return path.substr(path.rfind('/') + 1);
}

Trial::Trial(World& world, const contract_check::Options& options, Log& log, const Place& place,
             Setup setup)
    : world_(world), options_(options), log_(log), place_(place), setup_(setup) {}

Result<Done> Trial::start() {
  until_ = std::chrono::steady_clock::now() + options_.patience;
  const std::string run = new_run();
  Json input = options_.input;
  const auto& schema = world_.program().definition->input;
  if (input.is_null()) input = schema ? example_of(schema->source(), "", run) : Json::object();
  // Which saga it is, is known only afterwards.
  world_.examiner().hold([](const Call&) { return true; });
  auto started = world_.start(for_run(std::move(input), run), "check-" + run, setup_.hurried);
  if (!started) return std::move(started).error();
  saga_ = *started;
  started_ = true;
  if (place_.route.cancel) take_back();
  world_.examiner().hold([this](const Call& call) { return matches(call); });
  return Done{};
}

Trial::~Trial() {
  world_.examiner().hold([this](const Call& call) { return is_pivot_to_refuse(call); });
  if (!started_) return;
  if (place_.area == Area::on_suspended) resume();
  // A callback may have led the saga on, up to its pivot.
  while (auto held = world_.examiner().next([this] { return over(); })) refuse(std::move(*held));
  world_.examiner().hold({});
  const std::string status = text_of(world_.view(saga_), "status");
  if (status == "COMPLETED") {
    if (!options_.pairs_only) return;
    leave("the saga " + saga_.text() + " completed: everything it did is done");
  } else if (status != "FAILED") {
    leave("the saga " + saga_.text() + " is " + status + ": see its steps for what is done");
  }
}

/// Ended, suspended, out of time, or without a service that can be reached.
bool Trial::over() {
  const auto now = std::chrono::steady_clock::now();
  if (now > until_ || !world_.examiner().unreachable().empty()) return true;
  const std::string status = text_of(world_.view(saga_), "status");
  if (status == "RUNNING" || status == "COMPENSATING") return false;
  if (status != "SUSPENDED" || place_.area != Area::on_suspended || resumed_) return true;
  if (!suspended_since_) suspended_since_ = now;
  return now - *suspended_since_ > handlers_begin;
}

/// A step without an undo may be after the pivot, and its saga runs to its end in any case.
bool Trial::passes_pivot() const {
  return place_.area != Area::on_failure && !place_.has_undo();
}

bool Trial::matches(const Call& call) const {
  if (call.saga != saga_) return false;
  const std::string name = step_name_of(call);
  if (name == place_.name()) return call.phase != Phase::poll || setup_.hold_polls;
  if (call.phase != Phase::forward) return false;
  if (place_.route.refusals.contains(name)) return true;
  return is_pivot_to_refuse(call);
}

bool Trial::is_pivot_to_refuse(const Call& call) const {
  if (call.saga != saga_ || call.phase != Phase::forward || passes_pivot()) return false;
  const dsl::Step* step = dsl::find_step(*world_.program().definition, step_name_of(call));
  return step != nullptr && step->kind == dsl::StepKind::pivot;
}

std::optional<HeldCall> Trial::next(const std::function<bool()>& until) {
  for (;;) {
    auto held = world_.examiner().next([&] { return over() || (until && until()); });
    if (!held) return std::nullopt;
    const std::string name = step_name_of(held->call);
    if (name == place_.name()) return held;
    const auto refusal = place_.route.refusals.find(name);
    if (refusal != place_.route.refusals.end()) {
      answer(std::move(*held), refusal->second);
      continue;
    }
    // The pivot: the step can only come before it, so it will not come.
    const bool reached = until && until();
    if (!reached) passed_by_ = name;
    take_back();
    refuse(std::move(*held));
    if (reached) return std::nullopt;
  }
}

std::string Trial::why_not() {
  if (const auto unreachable = world_.examiner().unreachable(); !unreachable.empty())
    return unreachable.front();
  if (!passed_by_.empty())
    return "with this input the saga comes to its pivot " + passed_by_ + " without it";
  const Json view = world_.view(saga_);
  const std::string status = text_of(view, "status");
  if (status == "RUNNING" || status == "COMPENSATING") return "the saga did not come to it in time";
  const std::string why = "the saga did not come to it: it ended " + status;
  if (const auto told = text_of(view.value("suspension", Json()), "message"); !told.empty())
    return why + ", " + told;
  const Json failure = view.value("failure", Json());
  const std::string step = text_of(failure, "step");
  const std::string code = text_of(failure, "code");
  return why + (code.empty() ? "" : ", " + code) + (step.empty() ? "" : " at " + step);
}

Json Trial::step_view() {
  const Json view = world_.view(saga_);
  for (const Json& step : view.value("steps", Json::array())) {
    if (text_of(step, "name") == place_.name()) return step;
  }
  return nullptr;
}

Pace& Trial::pace_of(const HeldCall& held) {
  Pace& pace = log_.paces[{step_name_of(held.call), kind_of(held.call.phase)}];
  pace.allowed = held.call.request.attempt_timeout;
  return pace;
}

void Trial::note_answer(Pace& pace, const HeldCall& held, const Reply& reply) {
  constexpr int refusal_min = 400;
  const auto* response = std::get_if<Response>(&reply.result);
  if (response == nullptr) return;
  ++pace.answers;
  if (response->status >= refusal_min) ++pace.refusals;
  const auto fell_short = [&](Shortfall& in, const std::string& how) {
    if (in.count++ == 0)
      in.first = std::to_string(response->status) + " to " + held.call.request.method + " " +
                 held.call.request.target + ": " + how;
  };
  if (!response->foreign.empty()) return fell_short(pace.unmarked, response->foreign);
  const bool is_stored =
      std::none_of(response->headers.begin(), response->headers.end(), [](const auto& header) {
        return header.first == "cache-control" &&
               lower_case(header.second).find("no-store") != std::string::npos;
      });
  if (is_stored) fell_short(pace.stored, "it has no Cache-Control: no-store");
}

Call Trial::next_attempt(const HeldCall& held) {
  Call call = held.call;
  call.attempt = ++attempts_[call.request.key + call.request.probes];
  return call;
}

Reply Trial::reply_of(const HeldCall& held, CallResult result) const {
  Reply reply;
  reply.meaning = engine::meaning_of(world_.program(), *place_.step,
                                     engine::question_of(held.call.phase), result);
  reply.result = std::move(result);
  return reply;
}

Flight Trial::begin(const HeldCall& held, Way way) {
  return world_.examiner().send(next_attempt(held), way);
}

Reply Trial::finish(Flight& flight, const HeldCall& held) {
  Reply reply = reply_of(held, flight.result());
  reply.answered_at = flight.answered_at();
  return reply;
}

Reply Trial::send(const HeldCall& held, Way way) {
  Flight flight = begin(held, way);
  Reply reply = finish(flight, held);
  Pace& pace = pace_of(held);
  if (way == Way::cut_off) return reply;
  note_answer(pace, held, reply);
  if (reply.timed_out()) ++pace.late;
  if (!reply.answered() && !reply.timed_out()) return reply;
  ++pace.calls;
  const auto took = std::chrono::duration_cast<Duration>(reply.answered_at - flight.sent_at());
  pace.slowest = std::max(pace.slowest, took);
  return reply;
}

Reply Trial::settle(const HeldCall& held) {
  Reply reply = send(held);
  for (int tries = 1; tries < tries_max && !reply.taken() && !reply.refused(); ++tries) {
    if (reply.timed_out() || is_sent_once(held.call)) break;
    std::this_thread::sleep_for(between_tries);
    reply = send(held);
  }
  return reply;
}

void Trial::answer(HeldCall held, CallResult result) {
  world_.examiner().answer(std::move(held), std::move(result));
}

void Trial::answer_unknown(HeldCall held) {
  answer(std::move(held),
         TransportError{dsl::Transport::timeout, true, "the check withheld the request"});
}

/// Makes the engine believe that the call had no effect: the saga goes back.
void Trial::refuse(HeldCall held) {
  const dsl::Step* step = dsl::find_step(*world_.program().definition, step_name_of(held.call));
  const Response refusal{422, {}, nullptr, {}};
  const auto meaning =
      engine::meaning_of(world_.program(), *step, engine::Question::action, refusal);
  if (meaning.outcome == dsl::OutcomeClass::failure)
    answer(std::move(held), refusal);
  else
    answer(std::move(held), TransportError{dsl::Transport::connect, false, "held back", true});
}

/// Ends a suspension that the check has brought about, once the handlers have run.
void Trial::resume() {
  while (!over()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (!suspended_since_) return;
  suspended_since_.reset();
  resumed_ = world_.retry(saga_).has_value();
}

bool Trial::take_back() {
  return world_.cancel(saga_).has_value();
}

void Trial::leave(const std::string& what) {
  log_.report.left.push_back(what);
}

}  // namespace backstitch::contract_check
