#include "network.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/answer_body.hpp>

namespace backstitch::simulation {

using namespace engine;

/// One attempt on its way. The process that sent it may be dead when it arrives.
struct Network::Attempt {
  Message message;
  std::shared_ptr<Life> life;
  VirtualExecutor* reactor;
  std::function<void(CallResult)> done;
  TimerId timer = 0;
  Duration timeout{};
  bool over = false;
  bool turned_away = false;  ///< "not done", which holds for every copy of the request
  bool let_in = false;       ///< a copy of it was handled

  /// On the reactor's thread.
  void end(CallResult result) {
    if (std::exchange(over, true)) return;
    reactor->cancel(timer);
    --life->calls_open;
    // Who was given up on may be at work for one attempt timeout longer.
    const auto* error = std::get_if<TransportError>(&result);
    const bool held = error != nullptr && error->sent && error->kind == dsl::Transport::timeout;
    const auto give_back = [life = life, service = message.service] {
      --life->slots_taken[service];
    };
    if (held)
      reactor->call_after(timeout, give_back);
    else
      give_back();
    auto told = std::exchange(done, nullptr);
    told(std::move(result));
  }
};

namespace {

Message message_of(const Call& call) {
  return {call.service_name,           call.saga.text(),    call.path,
          engine::to_text(call.phase), call.attempt,        call.request.method,
          call.request.target,         call.request.body,   call.request.key,
          call.request.compensates,    call.request.probes, call.request.callback};
}

TransportError failed(dsl::Transport kind, bool sent, const char* message) {
  return {kind, sent, message};
}

}  // namespace

Duration Network::way() {
  if (scene_.faults && scene_.dice.chance(10)) return scene_.between(30, 2'000);
  return scene_.between(1, 20);
}

void Network::send(const std::shared_ptr<Life>& life, VirtualExecutor& reactor, Call call,
                   std::function<void(CallResult)> done) {
  const auto& plan = scene_.plan.network;
  auto attempt = std::make_shared<Attempt>();
  attempt->message = message_of(call);
  attempt->life = life;
  attempt->reactor = &reactor;
  attempt->done = std::move(done);
  attempt->timeout = call.request.attempt_timeout;
  ++life->calls_open;
  const Message& message = attempt->message;
  if (++life->slots_taken[message.service] > call.service->limits.in_flight_max.value_or(512))
    scene_.violated("limit: " + life->who.node + " has more calls in flight to " + message.service +
                    " than it may");
  if (services_.is_down(message.service) || scene_.strikes(plan.refused)) {
    attempt->timer = reactor.call_after(scene_.between(1, 20), [attempt] {
      attempt->end(failed(dsl::Transport::connect, false, "connection refused"));
    });
    return;
  }
  const Duration timeout = call.request.attempt_timeout;
  attempt->timer = reactor.call_after(timeout, [attempt] {
    attempt->end(failed(dsl::Transport::timeout, true, "no answer in time"));
  });
  if (scene_.strikes(plan.request_lost)) {
    scene_.coverage.reached(Rare::request_lost);
    scene_.trace.note("network", "loses ", message.phase, " ", message.path, " #", message.attempt);
    return;
  }
  if (scene_.strikes(plan.reset)) {
    attempt->timer = (reactor.cancel(attempt->timer), reactor.call_after(way(), [attempt] {
      attempt->end(failed(dsl::Transport::reset, true, "connection reset"));
    }));
    if (scene_.dice.chance(50)) return;
  }
  const bool late = scene_.strikes(plan.late);
  if (late) scene_.coverage.reached(Rare::answer_after_timeout);
  const Duration there = late ? timeout + scene_.between(1, 2 * timeout.count()) : way();
  travel(attempt, there);
  if (!scene_.strikes(plan.twice)) return;
  scene_.coverage.reached(Rare::request_twice);
  travel(attempt, there + scene_.between(0, 20'000));
}

void Network::travel(const Shared& attempt, Duration there) {
  ++under_way_;
  scene_.outside.call_after(there, [this, attempt] {
    --under_way_;
    arrive(attempt);
  });
}

void Network::arrive(const Shared& attempt) {
  if (services_.is_down(attempt->message.service)) return;
  if (attempt->turned_away) return;
  // Who turns away says that nothing was done, and knows whether its other copy was let in.
  auto busy = services_.turned_away();
  if (attempt->let_in) busy.reset();
  attempt->turned_away = busy.has_value();
  attempt->let_in = !busy;
  Answer given = busy ? *busy : services_.handle(attempt->message);
  if (scene_.strikes(scene_.plan.network.answer_lost)) {
    scene_.coverage.reached(Rare::answer_lost);
    scene_.trace.note("network", "loses the answer to ", attempt->message.phase, " ",
                      attempt->message.path);
    return;
  }
  answer(attempt, response_of(attempt->message, std::move(given)), way());
}

/// An intermediary's page, a compressed or a broken body in place of the participant's own: the
/// status line still says what happened.
Response Network::response_of(const Message& message, Answer given) {
  const bool says_it_all = message.phase == "forward" || message.phase == "compensate";
  if (!says_it_all || given.status == 202 || !scene_.strikes(scene_.plan.network.garbled))
    return {given.status, {}, std::move(given.body)};
  scene_.coverage.reached(Rare::answer_garbled);
  const bool says_json = scene_.dice.chance(50);
  const std::string bytes = scene_.dice.pick<const char*>(
      {"", " \r\n", "<html>Bad gateway</html>", "\x1f\x8b\x08",
       "Stra\xdf"
       "e",
       "[1, 2]", "null", "{\"n\": 18446744073709551616}", "{\"n\": 1, \"n\": 2}"});
  auto body = read_body(says_json ? "application/json" : "text/html; charset=ISO-8859-1",
                        scene_.dice.chance(10) ? "gzip" : "", bytes);
  scene_.trace.note("network", "garbles the answer to ", message.phase, " ", message.path, ": ",
                    body.unreadable);
  return {given.status, {}, std::move(body.value), std::move(body.unreadable)};
}

void Network::answer(const Shared& attempt, CallResult result, Duration back) {
  ++under_way_;
  scene_.outside.call_after(back, [this, attempt, result = std::move(result)] {
    --under_way_;
    if (!attempt->life->alive || attempt->over) return;
    attempt->reactor->post([attempt, result] { attempt->end(result); });
  });
}

}  // namespace backstitch::simulation
