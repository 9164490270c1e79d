#include "network.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/answer_body.hpp>
#include <backstitch/engine/machine/answer_marks.hpp>

namespace backstitch::simulation {

using namespace engine;

/// One attempt on its way. The process that sent it may be dead when it arrives.
struct Network::Attempt {
  Message message;
  std::shared_ptr<const dsl::Service> service;
  RenderedRequest request;
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
          call.request.compensates,    call.request.probes, call.request.callback,
          call.service->answers.echo};
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
  attempt->service = call.service;
  attempt->request = call.request;
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
  if (auto foreign = spoken_for(attempt->message)) {
    // It has asked the participant, or it has not.
    if (scene_.more_dice.chance(50)) {
      attempt->let_in = true;
      (void)services_.handle(attempt->message);
    }
    return answer(attempt, std::move(*foreign), way());
  }
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

/// A login page, a rate limit, a cache, a mesh that finds no upstream: whatever it says, it says
/// nothing of what the participant has done. Its bodies look like those of participants, too.
std::optional<Response> Network::spoken_for(const Message& message) {
  const std::size_t rate = scene_.plan.network.intermediary;
  if (rate == 0 || message.echo.empty() || !scene_.faults) return std::nullopt;
  Dice& dice = scene_.more_dice;
  if (dice.below(1'000) >= rate) return std::nullopt;
  scene_.coverage.reached(message.phase == "forward"      ? Rare::spoke_for_action
                          : message.phase == "compensate" ? Rare::spoke_for_undo
                                                          : Rare::spoke_for_question);
  const int status = dice.pick({200, 200, 301, 401, 403, 404, 404, 429, 503});
  Json body;
  switch (dice.below(5)) {
    case 0:
      body = {{"error", dice.pick({"NOT_SEEN", "NOT_FOUND"})}};
      break;
    case 1:
      body = {{"n", 3}, {"id", "of another"}, {"state", dice.pick({"DONE", "REFUSED"})}};
      break;
    case 2:
      body = "<html>Sign in</html>";
      break;
    default:
      break;
  }
  Response response{status, {}, std::move(body)};
  if (dice.chance(30)) response.headers = {{message.echo, "the-key-of-another"}};
  scene_.trace.note("intermediary", "answers ", message.phase, " ", message.saga.substr(24), " ",
                    message.path, " #", message.attempt, ": ", status);
  return response;
}

/// An intermediary's page, a compressed or a broken body in place of the participant's own: the
/// status line still says what happened.
Response Network::response_of(const Message& message, Answer given) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (!message.echo.empty() && !given.is_foreign)
    headers.emplace_back(message.echo, message.carried_key());
  const bool says_it_all = message.phase == "forward" || message.phase == "compensate";
  if (!says_it_all || given.status == 202 || !scene_.strikes(scene_.plan.network.garbled))
    return {given.status, std::move(headers), std::move(given.body)};
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
  return {given.status, std::move(headers), std::move(body.value), std::move(body.unreadable)};
}

/// As the adapter: who spoke is found out first, and what another one says is not read.
void Network::answer(const Shared& attempt, Response response, Duration back) {
  response.foreign = foreign_answer(attempt->service->answers, attempt->request, response.status,
                                    response.headers);
  if (!response.foreign.empty()) response.body = nullptr;
  ++under_way_;
  scene_.outside.call_after(back, [this, attempt, response = std::move(response)] {
    --under_way_;
    if (!attempt->life->alive || attempt->over) return;
    attempt->reactor->post([attempt, response] { attempt->end(response); });
  });
}

}  // namespace backstitch::simulation
