#include "trial.hpp"

#include <algorithm>
#include <thread>

#include "example_input.hpp"

namespace backstitch::contract_check {

using namespace engine;

namespace {

constexpr int tries_max = 5;
constexpr std::chrono::milliseconds between_tries{300};
constexpr std::size_t body_shown_max = 120;

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
  return std::to_string(response.status) +
         (response.body.is_null() ? "" : " " + shown(response.body));
}

Trial::Trial(World& world, const contract_check::Options& options, Findings& findings)
    : world_(world), options_(options), findings_(findings) {}

Result<Done> Trial::start(const std::set<std::string>& steps) {
  steps_ = steps;
  until_ = std::chrono::steady_clock::now() + options_.patience;
  const std::string run = new_run();
  Json input = options_.input;
  const auto& schema = world_.program().definition->input;
  if (input.is_null()) input = schema ? example_of(schema->source(), "", run) : Json::object();
  // Which saga it is, is known only afterwards.
  world_.examiner().hold([](const Call&) { return true; });
  auto started = world_.start(for_run(std::move(input), run), "check-" + run);
  if (!started) return std::move(started).error();
  saga_ = *started;
  started_ = true;
  world_.examiner().hold([this](const Call& call) { return matches(call); });
  return Done{};
}

Trial::~Trial() {
  world_.examiner().hold({});
  if (!started_) return;
  while (!over()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const Json view = world_.view(saga_);
  const std::string status = text_of(view, "status");
  if (status == "COMPLETED") {
    if (!options_.pairs_only) return;
    leave("the saga " + saga_.text() + " completed: everything it did is done");
  } else if (status != "FAILED") {
    leave("the saga " + saga_.text() + " stands at " + status + ": see its steps for what is done");
  }
}

/// Ended, suspended, or out of time.
bool Trial::over() {
  if (std::chrono::steady_clock::now() > until_) return true;
  const std::string status = text_of(world_.view(saga_), "status");
  return status != "RUNNING" && status != "COMPENSATING";
}

std::string Trial::name_of(const HeldCall& held) {
  const std::string path = held.call.path;
  return path.substr(path.rfind('/') + 1);
}

bool Trial::matches(const Call& call) const {
  const std::string path = call.path;
  const std::string name = path.substr(path.rfind('/') + 1);
  const dsl::Step* step = dsl::find_step(*world_.program().definition, name);
  if (call.saga != saga_ || call.phase == Phase::poll || step == nullptr) return false;
  if (steps_.contains(name)) return true;
  return step->kind == dsl::StepKind::pivot && call.phase == Phase::forward;
}

std::optional<HeldCall> Trial::next() {
  for (;;) {
    auto held = world_.examiner().next([this] { return over(); });
    if (!held || steps_.contains(name_of(*held))) return held;
    // The pivot: what we wait for can only come before it, so it will not come.
    passed_by_ = name_of(*held);
    take_back();
    answer(std::move(*held), TransportError{dsl::Transport::connect, false, "held back"});
  }
}

std::string Trial::why_not() {
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

Reply Trial::send(const HeldCall& held, Way way) {
  Call call = held.call;
  call.attempt = ++attempts_[call.request.key + call.request.probes];
  const Duration allowed = call.request.attempt_timeout;
  const auto begin = std::chrono::steady_clock::now();
  Reply reply;
  reply.result = world_.examiner().send(std::move(call), way);
  reply.took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begin);
  reply.meaning = meaning_of(held, reply.result);
  Pace& pace = findings_.paces[name_of(held)];
  pace.allowed = allowed;
  if (way == Way::cut_off) return reply;
  if (reply.timed_out()) ++pace.late;
  if (!reply.answered() && !reply.timed_out()) return reply;
  ++pace.calls;
  pace.slowest = std::max(pace.slowest, reply.took);
  return reply;
}

Reply Trial::settle(const HeldCall& held) {
  Reply reply = send(held);
  for (int tries = 1; tries < tries_max && !reply.taken() && !reply.refused(); ++tries) {
    if (reply.timed_out()) break;
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

bool Trial::take_back() {
  return world_.cancel(saga_).has_value();
}

void Trial::leave(const std::string& what) {
  findings_.report.left.push_back(what);
}

const dsl::Step& Trial::step_of(const HeldCall& held) const {
  return *dsl::find_step(*world_.program().definition, name_of(held));
}

AnswerMeaning Trial::meaning_of(const HeldCall& held, const CallResult& result) const {
  return engine::meaning_of(world_.program(), step_of(held), engine::question_of(held.call.phase),
                            result);
}

}  // namespace backstitch::contract_check
