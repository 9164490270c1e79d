#include <backstitch/contract_check/contract_check.hpp>

#include <algorithm>

#include "scenarios.hpp"

// Which steps are examined, and what can be judged without a call.

namespace backstitch::contract_check {
namespace {

using engine::Response;

/// What an intermediary answers on its own when it does not know the path or the caller.
constexpr int statuses_of_a_router[] = {404, 410, 403, 401};
constexpr const char* page_of_a_router =
    "<html><head><title>Not Found</title></head><body>nginx</body></html>";

/// The page of a proxy in front of the participant, as an answer to the probe. One that is not
/// sealed may take it for "not seen": that settles nothing, the action is sent again or undone by
/// its key.
Judgement judge_router(const engine::Program& program, const dsl::Step& step) {
  if (!std::get<dsl::Action>(step.body).probe->sealed)
    return Judgement::kept("the probe is not sealed, so its \"no\" settles nothing");
  for (const int status : statuses_of_a_router) {
    const Response page{status, {{"content-type", "text/html"}}, page_of_a_router, "not JSON"};
    const auto meaning = engine::meaning_of(program, step, engine::Question::probe, page);
    if (meaning.outcome == dsl::OutcomeClass::failure) {
      return Judgement::broken("that the probe does not decide",
                               "\"not done\", " + meaning.code +
                                   ", from a page of HTML with status " + std::to_string(status));
    }
  }
  return Judgement::kept();
}

class Check {
 public:
  Check(World& world, const Options& options)
      : world_(world),
        options_(options),
        inventory_(world.program()),
        log_{report_, inventory_},
        scenarios_(world, options, log_) {}

  Result<Report> run() {
    report_.definition = world_.program().definition->name;
    report_.services = world_.services();
    if (auto done = apply_options(); !done) return std::move(done).error();
    for (const Place& place : inventory_.places()) {
      if (auto done = examine(place); !done) return std::move(done).error();
      judge_answers(place);
    }
    report_.findings = inventory_.findings();
    report_.unreachable = world_.examiner().unreachable();
    report_.calls = world_.examiner().sent();
    return std::move(report_);
  }

 private:
  Result<Done> apply_options() {
    const auto& places = inventory_.places();
    for (const std::string& name : options_.steps) {
      const bool known = std::any_of(places.begin(), places.end(),
                                     [&](const Place& place) { return place.name() == name; });
      if (!known) {
        return Error{ErrorCode::invalid, "step-unknown",
                     "The definition " + report_.definition + " has no step called " + name +
                         " that makes requests; there are: " + inventory_.step_names()};
      }
    }
    for (const Accepted& accepted : options_.accept) {
      if (auto done = inventory_.accept(accepted); !done) return done;
    }
    for (const Place& place : places) {
      if (!options_.steps.empty() && !is_chosen(place.name()))
        inventory_.leave_out(place.name(), "--step", "left out by --step");
      else if (options_.pairs_only && place.is_action() && !place.has_undo())
        inventory_.leave_out(place.name(), "--pairs-only",
                             "left out by --pairs-only: the step has no undo");
    }
    return Done{};
  }

  bool is_chosen(const std::string& step) const {
    return std::find(options_.steps.begin(), options_.steps.end(), step) != options_.steps.end();
  }

  Result<Done> examine(const Place& place) {
    if (const auto unreachable = world_.examiner().unreachable(); !unreachable.empty()) {
      inventory_.leave_unchecked(place.name(), unreachable.front());
      return Done{};
    }
    if (const auto* child = std::get_if<dsl::SubSaga>(&place.step->body)) {
      inventory_.settle(place.name(), Promise::sub_saga,
                        Judgement::not_checked("the requests of " + child->name +
                                               " are checked by its own definition"));
    }
    leave_local_requests(place);
    if (inventory_.is_wanted(place.name(), Promise::router))
      inventory_.settle(place.name(), Promise::router, judge_router(world_.program(), *place.step));
    if (!place.route.obstacle.empty())
      inventory_.leave_unchecked(place.name(), place.route.obstacle);
    return scenarios_.examine(place);
  }

  /// The handlers of a local service are functions of another program.
  void leave_local_requests(const Place& place) {
    const auto* action = std::get_if<dsl::Action>(&place.step->body);
    const std::string usual = action != nullptr ? action->request.service : "";
    const auto why_local = [&](const dsl::Request& request) -> std::string {
      const std::string& name = request.service.empty() ? usual : request.service;
      const auto* service = world_.program().service(name);
      if (service == nullptr || !service->local) return {};
      return "the service " + name +
             " is local: its handlers are functions of the program that embeds the engine, and "
             "are not called over HTTP";
    };
    const auto leave = [&](RequestKind kind, const dsl::Request& request) {
      if (const std::string why = why_local(request); !why.empty())
        inventory_.leave_unchecked(place.name(), kind, why);
    };
    if (action != nullptr) {
      // Without its action nothing of the step can be examined.
      if (const std::string why = why_local(action->request); !why.empty())
        return inventory_.leave_unchecked(place.name(), why);
      if (action->probe) leave(RequestKind::probe, action->probe->request);
      if (action->completion && action->completion->poll)
        leave(RequestKind::poll, action->completion->poll->request);
    }
    if (place.has_undo())
      leave(RequestKind::compensation, std::get<dsl::Compensation>(place.step->undo).request);
  }

  void judge_answers(const Place& place) {
    for (const RequestKind request :
         {RequestKind::action, RequestKind::compensation, RequestKind::probe, RequestKind::poll}) {
      const auto found = log_.paces.find({place.name(), request});
      const Pace pace = found == log_.paces.end() ? Pace{} : found->second;
      inventory_.settle(place.name(), request, Promise::in_time, judge_pace(pace));
      inventory_.settle(place.name(), request, Promise::marked,
                        judge_all(pace, pace.unmarked, "the mark of `answers` on every answer"));
      inventory_.settle(place.name(), request, Promise::not_stored,
                        judge_all(pace, pace.stored, "Cache-Control: no-store on every answer"));
    }
  }

  static Judgement judge_all(const Pace& pace, const Shortfall& shortfall, const char* expected) {
    if (pace.answers == 0) return Judgement::not_checked("no answer was seen");
    const std::string all =
        std::to_string(pace.answers) + " answers, " + std::to_string(pace.refusals) + " refusals";
    if (shortfall.count == 0) return Judgement::kept("seen on " + all);
    return Judgement::broken(expected, "none on " + std::to_string(shortfall.count) + " of " + all +
                                           "; the first: " + shortfall.first);
  }

  static Judgement judge_pace(const Pace& pace) {
    if (pace.calls == 0) return Judgement::not_checked("it was never called");
    const std::string allowed = backstitch::to_text(pace.allowed);
    if (pace.late == 0) {
      return Judgement::kept("at most " + backstitch::to_text(std::max(pace.slowest, Duration{1})) +
                             " of " + allowed);
    }
    return Judgement::broken(
        "an answer within " + allowed,
        std::to_string(pace.late) + " of " + std::to_string(pace.calls) + " calls had none");
  }

  World& world_;
  const Options& options_;
  Report report_;
  Inventory inventory_;
  Log log_;
  Scenarios scenarios_;
};

}  // namespace

Result<Report> check(std::vector<std::string> definitions, const Options& options) {
  if (definitions.empty())
    return Error{ErrorCode::invalid, "definition-invalid", "There is no definition to check."};
  World world(options);
  if (auto opened = world.open(definitions); !opened) return std::move(opened).error();
  return Check(world, options).run();
}

}  // namespace backstitch::contract_check
