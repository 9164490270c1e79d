#include "services.hpp"

#include <charconv>
#include <string_view>
#include <utility>

#include "control.hpp"
#include "guard.hpp"

namespace backstitch::examples {

namespace {

using Standing = KeyGuard::Standing;

constexpr std::string_view ok_body = R"({"ok":true})";
constexpr std::string_view refused_body = R"({"error":"refused"})";

/// A status that says no for good. 408, 425, 429 and 5xx ask to be tried again, so they settle
/// nothing.
bool is_final(unsigned status) {
  return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

Answer answer_of(const FaultRule& fault, unsigned status_default, std::string_view body_default) {
  return {fault.status != 0 ? fault.status : status_default,
          fault.body.empty() ? std::string(body_default) : fault.body};
}

/// What a fault does to an answer whose work is done.
void disturb(const FaultRule& fault, Reply& reply) {
  const auto replace = [&](unsigned status, std::string_view body) {
    const Answer answer = answer_of(fault, status, body);
    reply.set(answer.status, answer.body);
  };
  switch (fault.mode) {
    case FaultMode::refuse:
    case FaultMode::delay:
    case FaultMode::error_before:
      return;
    case FaultMode::drop_after:
      reply.delivery = Delivery::drop;
      return;
    case FaultMode::hang:
      reply.delivery = Delivery::hang;
      return;
    case FaultMode::error_after:
      return replace(500, R"({"error":"internal"})");
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

}  // namespace

/// One service: its keys, and how its requests are worked on.
class Service final : public Handler {
 public:
  Service(std::string_view name, Participants& all) : name_(name), all_(all) {}

  Admission admit(const Request& request) override {
    counters_.requests.fetch_add(1, std::memory_order_relaxed);
    if (!all_.faults_.any() || is_control(request)) return {};
    auto fault = all_.faults_.find(name_, request);
    if (fault == nullptr) return {};
    counters_.disturbed.fetch_add(1, std::memory_order_relaxed);
    const auto wait = fault->delay;
    return {wait, std::move(fault)};
  }

  void answer(const Request& request, const Admission& admission, Reply& reply) override {
    const FaultRule* fault = admission.fault.get();
    if (fault != nullptr && fault->mode == FaultMode::error_before) {
      const Answer answer = answer_of(*fault, 503, R"({"error":"unavailable"})");
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

  void restore(const Entry& entry) {
    switch (entry.effect) {
      case Effect::done:
      case Effect::captured:
        guard_.remember(entry.key, {entry.status, entry.answer});
        // Only payments ever looks an authorisation up.
        authorisations_.insert_or_assign(authorisation_id(entry.key), entry.key);
        return;
      case Effect::refused:
        return guard_.remember_refusal(entry.key, {entry.status, entry.answer});
      case Effect::undone:
      case Effect::noop_undo:
        guard_.close(entry.compensates);
        return;
      case Effect::closed:
        guard_.close(entry.key);
        return;
      case Effect::probed:
      case Effect::replayed:
        return;
    }
  }

  void clear() {
    guard_.clear();
    authorisations_.clear();
  }

  std::string_view name() const { return name_; }
  const Counters& counters() const { return counters_; }

 private:
  /// Without any record, and so without the lock.
  void answer_bench(const Request& request, const FaultRule* fault, Reply& reply) {
    counters_.bench.fetch_add(1, std::memory_order_relaxed);
    const std::string_view target = request.target;
    const bool is_undo = request.verb == Verb::del;
    if (is_refuse(fault)) return refuse(*fault, reply);
    if (target.starts_with("/bench/") && (is_undo || request.verb == Verb::put)) {
      reply.set(200, ok_body);
    } else if (target.starts_with("/bench-refuse/") && request.verb == Verb::put) {
      reply.set(409, refused_body);
    } else {
      reply.set(404, R"({"error":"no-such-endpoint"})");
    }
  }

  void answer_business(const Request& request, const FaultRule* fault, Reply& reply) {
    PathParts parts;
    const Route* route = find_route(name_, request, parts);
    if (route == nullptr) return reply.set(404, R"({"error":"no-such-endpoint"})");
    const std::lock_guard lock(all_.mutex_);
    switch (route->kind) {
      case RouteKind::action:
        return act(*route, {request, parts, guard_, authorisations_}, fault, reply);
      case RouteKind::undo:
        return undo(request, fault, reply);
      case RouteKind::probe:
        return probe(request, percent_decoded(parts[0]), fault, reply);
    }
  }

  void act(const Route& route, const Call& call, const FaultRule* fault, Reply& reply) {
    const std::string& key = call.request.idempotency_key;
    if (key.empty()) return reply.set(400, R"({"error":"idempotency-key-required"})");
    if (const auto known = guard_.look_up(key); known.standing != Standing::unseen) {
      const bool too_late = known.standing == Standing::closed;
      record(call.request, too_late ? Effect::refused : Effect::replayed, *known.answer);
      return reply.set(known.answer->status, known.answer->body);
    }
    if (is_refuse(fault)) {
      refuse(*fault, reply);
      if (!fault->remember || !is_final(reply.status)) return;
      return refuse_for_good(call.request, {reply.status, reply.body});
    }
    Answer answer = route.work(call);
    reply.set(answer.status, answer.body);
    if (answer.status >= 300) return refuse_for_good(call.request, std::move(answer));
    record(call.request, route.effect, answer, route.undoable);
    guard_.remember(key, std::move(answer));
  }

  void undo(const Request& request, const FaultRule* fault, Reply& reply) {
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
    record(request, effect, {200, {}});
    reply.set(200, ok_body);
  }

  void probe(const Request& request, const std::string& key, const FaultRule* fault, Reply& reply) {
    if (is_refuse(fault)) return refuse(*fault, reply);
    const auto known = guard_.look_up(key);
    if (known.standing == Standing::done) {
      record(request, Effect::probed, {200, {}}, false, key);
      return reply.set(200, known.answer->body);
    }
    // "Not seen" is a promise: the action may still be on its way and must find the door closed.
    if (known.standing == Standing::unseen) guard_.close(key);
    record(request, known.standing == Standing::unseen ? Effect::closed : Effect::replayed,
           {404, {}}, false, key);
    reply.set(404, R"({"error":"NOT_AUTHORISED"})");
  }

  static bool is_refuse(const FaultRule* fault) {
    return fault != nullptr && fault->mode == FaultMode::refuse;
  }

  void refuse(const FaultRule& fault, Reply& reply) const {
    const Answer& usual = refusal_of(name_);
    const Answer answer = answer_of(fault, usual.status, usual.body);
    reply.set(answer.status, answer.body);
  }

  void refuse_for_good(const Request& request, Answer answer) {
    record(request, Effect::refused, answer);
    guard_.remember_refusal(request.idempotency_key, std::move(answer));
  }

  /// `probed_key` replaces the request's own key where the request asks about another.
  void record(const Request& request, Effect effect, const Answer& answer, bool undoable = false,
              std::string_view probed_key = {}) {
    Entry entry;
    entry.service = name_;
    entry.saga = request.saga_id;
    entry.step = request.saga_step;
    entry.phase = request.saga_phase;
    entry.key = probed_key.empty() ? std::string_view(request.idempotency_key) : probed_key;
    entry.compensates = request.saga_compensates;
    entry.attempt = attempt_of(request);
    entry.effect = effect;
    entry.undoable = undoable;
    entry.status = answer.status;
    entry.answer = answer.body;
    all_.ledger_.append(std::move(entry));
  }

  const std::string_view name_;
  Participants& all_;
  KeyGuard guard_;
  Authorisations authorisations_;
  Counters counters_;
};

Participants::Participants() {
  for (std::size_t i = 0; i < service_names.size(); ++i) {
    services_[i] = std::make_unique<Service>(service_names[i], *this);
  }
}

Participants::~Participants() = default;

std::optional<std::string> Participants::open_ledger(const std::string& file) {
  const std::lock_guard lock(mutex_);
  if (auto wrong = ledger_.open(file)) return wrong;
  for (const Entry& entry : ledger_.entries()) {
    for (const auto& service : services_) {
      if (service->name() == entry.service) service->restore(entry);
    }
  }
  return std::nullopt;
}

Handler& Participants::handler(std::size_t index) {
  return *services_.at(index);
}

const Counters& Participants::counters(std::size_t index) const {
  return services_.at(index)->counters();
}

std::vector<Entry> Participants::entries() const {
  const std::lock_guard lock(mutex_);
  return {ledger_.entries().begin(), ledger_.entries().end()};
}

void Participants::clear() {
  const std::lock_guard lock(mutex_);
  ledger_.clear();
  for (const auto& service : services_) service->clear();
}

}  // namespace backstitch::examples
