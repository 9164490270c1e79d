#include "service.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "control.hpp"

namespace backstitch::examples {

namespace {

using Standing = KeyGuard::Standing;
using std::chrono::milliseconds;

constexpr std::string_view ok_body = R"({"ok":true})";
constexpr std::string_view no_endpoint_body = R"({"error":"no-such-endpoint"})";
constexpr milliseconds tell_pause_first{200};
constexpr milliseconds tell_pause_max{5'000};
constexpr int tell_attempts_max = 30;

/// A status that says no for good. 408, 425, 429 and 5xx ask to be tried again, so they settle
/// nothing.
bool is_final(unsigned status) {
  return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

bool is_refuse(const FaultRule* fault) {
  return fault != nullptr && fault->mode == FaultMode::refuse;
}

Answer answer_of(const FaultRule& fault, const Refusal& usual) {
  return {fault.status != 0 ? fault.status : usual.status,
          fault.body.empty() ? std::string(usual.body) : fault.body};
}

/// What a fault does to an answer whose work is done.
void disturb(const FaultRule& fault, Reply& reply) {
  switch (fault.mode) {
    case FaultMode::refuse:
    case FaultMode::delay:
    case FaultMode::drop_before:
    case FaultMode::error_before:
      return;
    case FaultMode::drop_after:
      reply.delivery = Delivery::drop;
      return;
    case FaultMode::hang:
      reply.delivery = Delivery::hang;
      return;
    case FaultMode::error_after: {
      const Answer answer = answer_of(fault, {500, R"({"error":"internal"})"});
      return reply.set(answer.status, answer.body);
    }
    case FaultMode::garbage:
      reply.set(fault.status != 0 ? fault.status : 200, R"({"id":"au-)");
      return;
  }
}

int attempt_of(const Request& request) {
  int attempt = 0;
  const std::string& text = request.saga_attempt;
  std::from_chars(text.data(), text.data() + text.size(), attempt);
  return attempt;
}

/// Whom to tell a decision: the engine's own header, or what the body asks for.
std::string notify_of(const Request& request) {
  if (!request.saga_callback.empty()) return request.saga_callback;
  const auto body = body_of(request);
  const auto found = body.is_object() ? body.find("notify") : body.end();
  return found != body.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// A decision as a fault rule sees it.
Request as_request(const Entry& accepted) {
  Request request;
  request.target = '/' + accepted.subject;
  request.saga_id = accepted.saga;
  request.saga_step = accepted.step;
  request.saga_phase = "callback";
  return request;
}

}  // namespace

Admission Service::admit(const Request& request) {
  counters_.requests.fetch_add(1, std::memory_order_relaxed);
  if (!all_.faults_.any() || is_control(request)) return {};
  auto fault = all_.faults_.find(name_, request);
  if (fault == nullptr) return {};
  counters_.disturbed.fetch_add(1, std::memory_order_relaxed);
  const auto wait = fault->delay;
  return {wait, std::move(fault)};
}

void Service::answer(const Request& request, const Admission& admission, Reply& reply) {
  const FaultRule* fault = admission.fault.get();
  if (fault != nullptr && fault->mode == FaultMode::drop_before) {
    reply.delivery = Delivery::drop;
    return;
  }
  if (fault != nullptr && fault->mode == FaultMode::error_before) {
    const Answer answer = answer_of(*fault, {503, R"({"error":"unavailable"})"});
    return reply.set(answer.status, answer.body);
  }
  if (request.target.starts_with("/bench")) {
    answer_bench(request, fault, reply);
  } else if (is_control(request)) {
    answer_control(all_, request, reply);
  } else {
    answer_business(request, fault, reply);
  }
  if (fault != nullptr) disturb(*fault, reply);
}

/// Without any record, and so without the lock.
void Service::answer_bench(const Request& request, const FaultRule* fault, Reply& reply) {
  counters_.bench.fetch_add(1, std::memory_order_relaxed);
  const std::string_view target = request.target;
  if (is_refuse(fault)) return refuse(*fault, reply);
  if (target.starts_with("/bench/") && (request.verb == Verb::del || request.verb == Verb::put)) {
    reply.set(200, ok_body);
  } else if (target.starts_with("/bench-refuse/") && request.verb == Verb::put) {
    reply.set(409, Refusal{}.body);
  } else {
    reply.set(404, no_endpoint_body);
  }
}

void Service::answer_business(const Request& request, const FaultRule* fault, Reply& reply) {
  PathParts parts;
  const Route* route = find_route(all_.business_.routes, name_, request, parts);
  if (route == nullptr) return reply.set(404, no_endpoint_body);
  const std::lock_guard lock(all_.mutex_);
  const Call call{request, parts, guard_, things_};
  switch (route->kind) {
    case RouteKind::query:
      return query(*route, call, fault, reply);
    case RouteKind::action:
      return act(*route, call, fault, reply);
    case RouteKind::undo:
      return undo(request, fault, reply);
    case RouteKind::probe:
      return probe(*route, call, fault, reply);
  }
}

void Service::query(const Route& route, const Call& call, const FaultRule* fault,
                    Reply& reply) const {
  if (is_refuse(fault)) return refuse(*fault, reply);
  const Answer answer = route.work(call);
  reply.set(answer.status, answer.body);
}

void Service::act(const Route& route, const Call& call, const FaultRule* fault, Reply& reply) {
  const std::string& key = call.request.idempotency_key;
  if (key.empty()) return reply.set(400, R"({"error":"idempotency-key-required"})");
  Entry entry = entry_of(call.request, subject_of(route, call.request));
  if (const auto known = guard_.look_up(key); known.standing != Standing::unseen) {
    const bool too_late = known.standing == Standing::closed;
    record(std::move(entry), too_late ? Effect::refused : Effect::replayed, *known.answer);
    return reply.set(known.answer->status, known.answer->body);
  }
  if (is_refuse(fault)) {
    refuse(*fault, reply);
    if (!fault->remember || !is_final(reply.status)) return;
    return refuse_for_good(std::move(entry), {reply.status, reply.body});
  }
  Answer answer = route.work(call);
  const bool is_granted = answer.status < 300;
  if (is_granted && route.accept != nullptr) {
    answer = accept(route, call, std::move(entry), answer.body);
    return reply.set(answer.status, answer.body);
  }
  reply.set(answer.status, answer.body);
  if (!is_granted) return refuse_for_good(std::move(entry), std::move(answer));
  take_effect(std::move(entry), route, std::move(answer));
}

void Service::undo(const Request& request, const FaultRule* fault, Reply& reply) {
  const std::string& forward_key = request.saga_compensates;
  if (forward_key.empty()) return reply.set(400, R"({"error":"saga-compensates-required"})");
  // A refusal of an undo is never final: whoever asks must be able to ask again.
  if (is_refuse(fault) && guard_.look_up(forward_key).standing != Standing::closed) {
    return refuse(*fault, reply);
  }
  const Standing before = guard_.close(forward_key);
  const Effect effect = before == Standing::done     ? Effect::undone
                        : before == Standing::closed ? Effect::replayed
                                                     : Effect::noop_undo;
  record(entry_of(request, percent_decoded(request.path().substr(1))), effect, {200, {}});
  reply.set(200, ok_body);
}

void Service::probe(const Route& route, const Call& call, const FaultRule* fault, Reply& reply) {
  if (is_refuse(fault)) return refuse(*fault, reply);
  Entry entry = entry_of(call.request, {});
  entry.key = call.part(0);
  const auto known = guard_.look_up(entry.key);
  if (known.standing == Standing::done) {
    record(std::move(entry), Effect::probed, {200, {}});
    return reply.set(known.answer->status, known.answer->body);
  }
  const bool is_new = known.standing == Standing::unseen;
  if (!is_new && !route.sealed) {
    // The question is answered even where what it asks about is not.
    const unsigned status = known.standing == Standing::pending ? 200 : known.answer->status;
    record(std::move(entry), Effect::replayed, {status, {}});
    return reply.set(status, known.answer->body);
  }
  // "Not seen" is a promise then: the action may still be on its way and must find the door closed.
  if (is_new && route.sealed) guard_.close(entry.key);
  const Effect effect = !is_new ? Effect::replayed : route.sealed ? Effect::closed : Effect::unseen;
  record(std::move(entry), effect, {404, {}});
  reply.set(404, route.not_seen);
}

void Service::refuse(const FaultRule& fault, Reply& reply) const {
  const Answer answer = answer_of(fault, find_service(all_.business_.services, name_)->refusal);
  reply.set(answer.status, answer.body);
}

Answer Service::accept(const Route& route, const Call& call, Entry entry,
                       const std::string& decision) {
  Answer answer = route.accept(call);
  entry.effect = Effect::accepted;
  entry.status = answer.status;
  entry.answer = answer.body;
  entry.decision = decision;
  entry.notify = notify_of(call.request);
  guard_.remember_pending(entry.key, answer);
  decide_later(route, entry);
  all_.ledger_.append(std::move(entry));
  return answer;
}

void Service::decide_later(const Route& route, const Entry& accepted) {
  auto fault = all_.faults_.any() ? all_.faults_.find(name_, as_request(accepted)) : nullptr;
  const auto wait = all_.decision_delay_ + (fault ? fault->delay : milliseconds{0});
  all_.later_.after(wait, [this, &route, accepted, fault, generation = generation_] {
    const std::lock_guard lock(all_.mutex_);
    if (generation == generation_) decide(route, accepted, fault);
  });
}

void Service::decide(const Route& route, const Entry& accepted, const Fault& fault) {
  // Undone in the meantime: nothing was granted and nothing will be, and whoever undid it knows.
  if (guard_.look_up(accepted.key).standing != Standing::pending) return;
  Entry entry = accepted;
  entry.phase = "callback";
  entry.decision.clear();
  entry.notify.clear();
  Answer answer{200, accepted.decision};
  const bool is_refused = is_refuse(fault.get());
  if (is_refused) answer = answer_of(*fault, route.late_refusal);
  Entry decided = entry;
  decided.answer = answer.body;
  if (is_refused) {
    refuse_for_good(std::move(entry), std::move(answer));
  } else {
    take_effect(std::move(entry), route, std::move(answer));
  }
  const bool is_kept_quiet = fault != nullptr && fault->mode == FaultMode::drop_after;
  if (!is_kept_quiet) tell(decided, accepted.notify, milliseconds{0}, tell_attempts_max);
}

/// Tells until somebody has listened: at least once, so the listener must bear it twice.
void Service::tell(const Entry& decided, const std::string& url, milliseconds wait,
                   int attempts_left) {
  if (url.empty() || attempts_left == 0) return;
  const auto next = std::clamp(wait * 2, tell_pause_first, tell_pause_max);
  all_.later_.after(wait, [this, decided, url, next, attempts_left, generation = generation_] {
    const unsigned status = post_json(url, decided.answer);
    const std::lock_guard lock(all_.mutex_);
    if (generation != generation_) return;
    if (status < 200 || status >= 300) return tell(decided, url, next, attempts_left - 1);
    record(decided, Effect::notified, {status, {}});
  });
}

void Service::restore(const Entry& entry) {
  switch (entry.effect) {
    case Effect::accepted:
      guard_.remember_pending(entry.key, {entry.status, entry.answer});
      owed_.insert_or_assign(entry.key, entry);
      return;
    case Effect::done:
    case Effect::captured:
      guard_.remember(entry.key, {entry.status, entry.answer});
      if (entry.undoable) things_.insert_or_assign(entry.subject, entry.key);
      if (owed_.contains(entry.key)) decided_.insert_or_assign(entry.key, entry);
      return;
    case Effect::refused:
      // A closed key answers like a refused one; it stays closed.
      if (guard_.look_up(entry.key).standing == Standing::closed) return;
      if (owed_.contains(entry.key)) decided_.insert_or_assign(entry.key, entry);
      return guard_.remember_refusal(entry.key, {entry.status, entry.answer});
    case Effect::undone:
    case Effect::noop_undo:
      owed_.erase(entry.compensates);
      guard_.close(entry.compensates);
      return;
    case Effect::closed:
      guard_.close(entry.key);
      return;
    case Effect::notified:
      owed_.erase(entry.key);
      return;
    case Effect::probed:
    case Effect::unseen:
    case Effect::replayed:
      return;
  }
}

void Service::resume() {
  for (const auto& [key, accepted] : owed_) {
    if (const auto decided = decided_.find(key); decided != decided_.end()) {
      tell(decided->second, accepted.notify, milliseconds{0}, tell_attempts_max);
      continue;
    }
    for (const Route& route : all_.business_.routes) {
      if (route.service == name_ && route.accept != nullptr) decide_later(route, accepted);
    }
  }
  owed_.clear();
  decided_.clear();
}

void Service::clear() {
  guard_.clear();
  things_.clear();
  ++generation_;
}

Entry Service::entry_of(const Request& request, std::string subject) const {
  Entry entry;
  entry.service = name_;
  entry.saga = request.saga_id;
  entry.step = request.saga_step;
  entry.phase = request.saga_phase;
  entry.subject = std::move(subject);
  // A probe has no key of its own: it asks what became of the action's.
  entry.key = request.saga_probes.empty() ? request.idempotency_key : request.saga_probes;
  entry.compensates = request.saga_compensates;
  entry.attempt = attempt_of(request);
  return entry;
}

void Service::record(Entry entry, Effect effect, const Answer& answer) {
  entry.effect = effect;
  entry.status = answer.status;
  entry.answer = answer.body;
  all_.ledger_.append(std::move(entry));
}

void Service::take_effect(Entry entry, const Route& route, Answer answer) {
  entry.undoable = route.undoable;
  if (route.undoable) things_.insert_or_assign(entry.subject, entry.key);
  guard_.remember(entry.key, answer);
  record(std::move(entry), route.effect, answer);
}

void Service::refuse_for_good(Entry entry, Answer answer) {
  guard_.remember_refusal(entry.key, answer);
  record(std::move(entry), Effect::refused, answer);
}

}  // namespace backstitch::examples
