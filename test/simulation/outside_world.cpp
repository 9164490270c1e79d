#include "outside_world.hpp"

#include <utility>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::simulation {

using engine::StartReply;
using engine::StartRequest;

namespace {

/// How long a client waits for an answer.
constexpr Duration patience{5'000};
constexpr int tries_max = 200;

/// Another input that the schema admits; null: there is none.
Json other_input(Json input) {
  for (const char* member : {"customerId", "card", "payer", "note"}) {
    if (!input.contains(member)) continue;
    input[member] = "another";
    return input;
  }
  if (!input.contains("n")) return nullptr;
  input["n"] = input["n"].get<int>() + 1;
  return input;
}

Json made_unique(Json input, std::size_t number) {
  const std::string text = "u-" + std::to_string(number);
  for (const char* member : {"orderId", "tripId", "transferId", "id"}) {
    if (input.contains(member)) input[member] = text;
  }
  return input;
}

/// The ways that an example's input can lead.
Json varied(Json input, Dice& dice) {
  if (input.contains("coupon") && dice.chance(40)) input.erase("coupon");
  if (input.contains("car") && dice.chance(30)) input.erase("car");
  if (input.contains("amountCents") && dice.chance(40)) input["amountCents"] = 5'000;
  if (input.contains("valueDate") && dice.chance(40)) input["valueDate"] = "2026-01-01T00:00:30Z";
  return input;
}

bool may_be_tried_again(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::overloaded ||
         error.code == ErrorCode::outcome_unknown || error.code == ErrorCode::fenced;
}

}  // namespace

OutsideWorld::OutsideWorld(Scene& scene, Database& database, Cluster& cluster, Corpus& corpus)
    : scene_(scene), database_(database), cluster_(cluster), corpus_(corpus) {}

void OutsideWorld::begin() {
  const std::size_t kinds = scene_.dice.between(1, 2);
  std::vector<const Specimen*> specimens;
  for (std::size_t i = 0; i < kinds; ++i) specimens.push_back(&corpus_.drawn(scene_.dice));
  for (const auto& service : corpus_.services())
    database_.store().put_service(service, [](const auto&) {});
  for (const auto* specimen : specimens) {
    for (const auto& stored : specimen->stored) {
      signals_[stored->name] = specimen->signals;
      database_.store().put_definition(*stored, true, [](const auto&) {});
    }
  }
  starts_.reserve(scene_.plan.sagas);
  for (std::size_t i = 0; i < scene_.plan.sagas; ++i) {
    auto one = client(i);
    one->specimen = scene_.dice.pick(specimens);
    StartRequest& request = one->request;
    request.definition = one->specimen->name;
    request.input = made_unique(varied(one->specimen->input, scene_.dice), i);
    request.labels = {{"start", starts_[i].label}};
    if (scene_.dice.chance(80)) request.idempotency_key = "key-" + std::to_string(i);
    starts_[i].has_key = request.idempotency_key.has_value();
    const bool by_sql = !request.idempotency_key && scene_.dice.chance(50);
    ++open_;
    scene_.outside.call_after(scene_.between(0, scene_.plan.faults_for.count() * 6 / 10),
                              [this, one, by_sql] { by_sql ? start_by_sql(one) : start(one); });
  }
  look_around();
}

/// That saga may wait for; its children have theirs from it.
std::vector<std::string> OutsideWorld::signals_of(const StatusFold& saga) const {
  const auto found = signals_.find(saga.definition());
  return found == signals_.end() ? std::vector<std::string>{} : found->second;
}

OutsideWorld::Shared OutsideWorld::client(std::size_t number) {
  auto one = std::make_shared<Client>();
  one->number = number;
  starts_.push_back({"start-" + std::to_string(number), {}, false, false});
  clients_.push_back(one);
  return one;
}

/// `replied` with nothing if no answer came in time.
void OutsideWorld::send_start(const StartRequest& request, Replied replied) {
  Process* node = cluster_.any();
  if (node == nullptr) {
    scene_.outside.call_after(Duration{300}, [replied = std::move(replied)] {
      replied(Error{ErrorCode::unavailable, "no-node", "nobody listens"});
    });
    return;
  }
  auto once = std::make_shared<Replied>(std::move(replied));
  scene_.outside.call_after(patience, [once] {
    if (auto told = std::exchange(*once, nullptr)) told(std::nullopt);
  });
  node->engine().start(scene_.dice.below(4), request, [this, once](Result<StartReply> reply) {
    const bool lost = scene_.strikes(scene_.plan.network.answer_lost);
    if (lost && reply) scene_.coverage.reached(Rare::start_answer_lost);
    if (lost) return;
    scene_.outside.call_after(scene_.between(1, 5), [once, reply = std::move(reply)] {
      if (auto told = std::exchange(*once, nullptr)) told(reply);
    });
  });
}

void OutsideWorld::start(const Shared& client) {
  send_start(client->request, [this, client](std::optional<Result<StartReply>> reply) {
    const StartRequest& request = client->request;
    if (reply && *reply) return started(client, (*reply)->id);
    const bool may_have_been_done = !reply || (*reply).error().code == ErrorCode::outcome_unknown;
    if (reply && !may_be_tried_again(reply->error())) {
      --open_;
      scene_.violated("I2: the start of " + request.definition + " as " +
                      starts_[client->number].label + " was refused: " + reply->error().reason +
                      " " + reply->error().message);
      return;
    }
    if (may_have_been_done && !request.idempotency_key) {
      // Without a key nobody may repeat it.
      --open_;
      return;
    }
    scene_.outside.call_after(scene_.between(100, 2'000), [this, client] { start(client); });
  });
}

/// As backstitch.start_saga does, in a transaction of its caller's.
void OutsideWorld::start_by_sql(const Shared& client) {
  if (!database_.reachable()) {
    scene_.outside.call_after(Duration{500}, [this, client] { start_by_sql(client); });
    return;
  }
  const auto shard = static_cast<Shard>(scene_.dice.below(256));
  const SagaId saga = SagaId::make(database_.now(), scene_.dice.roll(), scene_.dice.roll(), shard);
  database_.start_by_sql(saga, client->specimen->name,
                         client->specimen->document["version"].get<std::int64_t>(),
                         client->request.input.dump());
  scene_.coverage.reached(Rare::start_by_sql);
  starts_[client->number].by_sql = true;
  started(client, saga);
}

void OutsideWorld::started(const Shared& client, SagaId saga) {
  starts_[client->number].sagas.push_back(saga.text());
  if (std::exchange(client->answered, true)) return;
  --open_;
  scene_.trace.note("client", "has started ", saga.text(), " as ", starts_[client->number].label,
                    ", ", client->specimen->name);
  const auto& plan = scene_.plan.outside;
  if (client->request.idempotency_key && scene_.dice.chance(plan.repeats)) {
    scene_.outside.call_after(scene_.between(1, 20'000), [this, client, saga] {
      // Under a key that was forgotten the other input would be the first.
      const bool is_repeated = scene_.dice.chance(70) || scene_.plan.lost_tail.count() > 0;
      is_repeated ? repeat(client, saga) : misuse_key(client);
    });
  }
  if (scene_.dice.chance(plan.cancels)) {
    scene_.outside.call_after(scene_.between(1, 15'000), [this, saga] {
      const std::string by = somebody();
      command(saga, engine::Cancel{by, "changed my mind"}, "cancel", by, 3);
    });
  }
  for (const auto& name : client->specimen->signals) {
    if (!scene_.dice.chance(plan.signals)) continue;
    scene_.outside.call_after(scene_.between(1, 20'000),
                              [this, saga, name] { send_signal(saga, name); });
  }
}

void OutsideWorld::repeat(const Shared& client, SagaId saga) {
  send_start(client->request, [this, client, saga](std::optional<Result<StartReply>> reply) {
    if (!reply || (!*reply && may_be_tried_again(reply->error()))) return;
    if (!*reply)
      return scene_.violated("I2: a repeated start was refused: " + reply->error().reason);
    scene_.coverage.reached(Rare::start_repeated);
    if ((*reply)->created && !database_.has_forgotten(saga))
      scene_.violated("I2: a repeated start made another saga than " + saga.text());
    if ((*reply)->created) scene_.coverage.reached(Rare::forgotten_start_repeated);
    starts_[client->number].sagas.push_back((*reply)->id.text());
  });
}

void OutsideWorld::repeat_starts() {
  for (const auto& client : clients_) {
    if (!client->answered || !client->request.idempotency_key) continue;
    if (!scene_.more_dice.chance(70)) continue;
    const auto wait = static_cast<std::int64_t>(scene_.more_dice.below(10'000));
    const SagaId saga = *SagaId::parse(starts_[client->number].sagas.back());
    scene_.outside.call_after(Duration{wait}, [this, client, saga] { repeat(client, saga); });
  }
}

void OutsideWorld::misuse_key(const Shared& client) {
  StartRequest request = client->request;
  request.input = other_input(request.input);
  if (request.input.is_null()) return;
  send_start(request, [this](std::optional<Result<StartReply>> reply) {
    if (!reply || (!*reply && may_be_tried_again(reply->error()))) return;
    if (*reply) return scene_.violated("I2: a used key was taken with other input");
    if (reply->error().code != ErrorCode::conflict)
      scene_.violated("I2: a used key with other input was answered " + reply->error().reason);
    scene_.coverage.reached(Rare::start_reused_key);
  });
}

void OutsideWorld::send_signal(SagaId saga, const std::string& name) {
  const std::string by = somebody();
  const Json payload{{"n", scene_.dice.below(10)}, {"approved", scene_.dice.chance(80)}};
  command(saga, engine::Signal{name, payload, by, {"*"}}, "signal", by, 20);
}

void OutsideWorld::command(SagaId saga, engine::Command what, const std::string& name,
                           const std::string& by, int tries) {
  Process* node = cluster_.any();
  if (node == nullptr) return;
  auto open = std::make_shared<bool>(true);
  const auto again = [this, saga, what, name, by, tries] {
    if (tries > 0)
      scene_.outside.call_after(scene_.between(50, 600), [this, saga, what, name, by, tries] {
        command(saga, what, name, by, tries - 1);
      });
  };
  // A command whose answer was lost may have been taken; its sender does not ask again.
  const auto answered = [this, open, saga, what, name, by, again](const Result<Done>& done) {
    if (!std::exchange(*open, false)) return;
    scene_.trace.note("outside", name, " by ", by, " for ", saga.text().substr(24), ": ",
                      done ? "done" : done.error().reason);
    if (!done) {
      if (may_be_tried_again(done.error())) again();
      return;
    }
    commands_.push_back({saga.text(), name, by});
    if (name == "signal" && scene_.dice.chance(20)) {
      scene_.outside.call_after(scene_.between(1, 5'000),
                                [this, saga, what, by] { send_again(saga, what, by); });
    }
    if (name == "retry") scene_.coverage.reached(Rare::operator_retry);
    if (name == "suspend") scene_.coverage.reached(Rare::operator_suspend);
    if (name == "skip") scene_.coverage.reached(Rare::operator_skip);
    if (name == "resolve") scene_.coverage.reached(Rare::operator_resolve);
  };
  node->engine().command(saga, what, answered, by);
}

/// As after an answer that was lost: it has been taken, so nothing may come of it. A saga that is
/// gone remembers nothing.
void OutsideWorld::send_again(SagaId saga, const engine::Command& what, const std::string& key) {
  Process* node = cluster_.any();
  if (node == nullptr) return;
  const auto answered = [this, saga, key](const Result<Done>& done) {
    if (!done) {
      const bool gone = done.error().code == ErrorCode::not_found;
      const bool forgotten = gone || database_.has_forgotten_of(key);
      if (!forgotten && !may_be_tried_again(done.error()))
        scene_.violated("I2: a repeated signal was refused: " + done.error().reason);
      return;
    }
    scene_.coverage.reached(Rare::signal_repeated);
    if (!done->repeated && !database_.has_forgotten_of(key))
      scene_.violated("I2: a signal was taken twice under its key by " + saga.text());
  };
  node->engine().command(saga, what, answered, key);
}

void OutsideWorld::post(const std::string& url, const Answer& answer, int tries) {
  const std::string token = url.substr(url.rfind('/') + 1);
  const auto saga = engine::saga_of_callback(token);
  if (!saga) return scene_.violated("a callback URL names no saga: " + url);
  if (tries == 0) ++open_;
  Process* node = cluster_.any();
  auto open = std::make_shared<bool>(true);
  const auto again = [this, url, answer, tries, open] {
    if (!std::exchange(*open, false)) return;
    if (tries >= tries_max) {
      --open_;
      return scene_.violated("I10: nobody takes the callback " + url);
    }
    scene_.outside.call_after(scene_.between(200, 2'000),
                              [this, url, answer, tries] { post(url, answer, tries + 1); });
  };
  if (node == nullptr) return again();
  scene_.outside.call_after(patience, again);
  engine::Callback callback{token, {answer.status, {}, answer.body}};
  node->engine().command(*saga, std::move(callback),
                         [this, open, again, url, answer](const Result<Done>& done) {
                           if (!*open) return;
                           scene_.trace.note("outside", "callback ", url.substr(url.size() - 8),
                                             ": ", done ? "done" : done.error().reason);
                           if (!done && may_be_tried_again(done.error())) return again();
                           *open = false;
                           --open_;
                           if (done) scene_.coverage.reached(Rare::accepted_then_called_back);
                           if (!done || !scene_.strikes(100)) return;
                           scene_.coverage.reached(Rare::callback_repeated);
                           post(url, answer);
                         });
}

/// People look at the sagas every few seconds, and at random.
void OutsideWorld::look_around() {
  scene_.outside.call_after(scene_.between(1'000, 5'000), [this] {
    if (!scene_.faults) return;
    for (const auto& [saga, status] : database_.sagas()) {
      if (status.status() == "SUSPENDED" && scene_.dice.chance(scene_.plan.outside.operators))
        operate(saga);
      if (scene_.dice.chance(10)) look_at(saga);
      if (status.status() == "RUNNING" || status.status() == "COMPENSATING") hurry(saga);
      if (!scene_.plan.outside.clumsy || !scene_.dice.chance(5)) continue;
      if (scene_.dice.chance(50)) operate(saga);
      if (const auto& signals = signals_of(status); !signals.empty())
        send_signal(saga, scene_.dice.pick(signals));
    }
    look_around();
  });
}

/// A person who does not wait for the next attempt, or does not want it.
void OutsideWorld::hurry(SagaId saga) {
  if (!scene_.dice.chance(scene_.plan.outside.operators / 10)) return;
  const std::string by = somebody();
  if (scene_.dice.chance(70)) return command(saga, engine::Retry{by, "now"}, "retry", by, 3);
  command(saga, engine::Suspend{"", by, "stop"}, "suspend", by, 3);
}

/// Whatever a person finds in the view: the step the saga is suspended at, and one thing to do.
void OutsideWorld::operate(SagaId saga) {
  Process* node = cluster_.any();
  if (node == nullptr) return;
  node->engine().view(saga, [this, saga](const Result<Json>& view) {
    if (!view) return;
    scene_.outside.post([this, saga, seen = *view] {
      const std::string by = somebody();
      const auto suspension = seen.find("suspension");
      std::string step = "nothing";
      if (suspension != seen.end() && suspension->is_object())
        step = (*suspension)["step"].is_string() ? (*suspension)["step"].get<std::string>() : "";
      switch (scene_.dice.below(7)) {
        case 0:
          return command(saga, engine::Skip{step, by, "try"}, "skip", by, 3);
        case 1:
        case 2:
        case 3:
          return command(saga, resolution_of(step, by), "resolve", by, 3);
        case 4:
          return command(saga, engine::Suspend{"", by, "stop"}, "suspend", by, 3);
        default:
          return command(saga, engine::Retry{by, "again"}, "retry", by, 3);
      }
    });
  });
}

engine::Resolve OutsideWorld::resolution_of(const std::string& step, const std::string& by) {
  using engine::Resolution;
  engine::Resolve resolve{step, Resolution::done, {}, {}, by, "seen"};
  resolve.as = scene_.dice.pick({Resolution::done, Resolution::not_done, Resolution::compensated});
  if (resolve.as == Resolution::done && scene_.dice.chance(60)) resolve.output = Json{{"n", 1}};
  return resolve;
}

/// What a reader is told is a status that the log has had since it asked.
void OutsideWorld::look_at(SagaId saga) {
  Process* node = cluster_.any();
  if (node == nullptr) return;
  node->engine().view(saga, [this, saga](const Result<Json>& view) {
    if (!view) return;
    const auto found = database_.sagas().find(saga);
    const std::string status = view->value("status", std::string{});
    const bool waits = found == database_.sagas().end() && database_.has_promised(saga);
    if (waits || database_.has_forgotten(saga)) return;
    if (found == database_.sagas().end() || !found->second.has_been(status))
      scene_.violated("I6: a reader sees " + saga.text() + " as " + status +
                      ", which its log never said");
  });
}

void OutsideWorld::finish() {
  urge();
}

void OutsideWorld::urge() {
  for (const auto& [saga, status] : database_.sagas()) {
    if (status.ended()) continue;
    if (status.status() == "SUSPENDED") {
      if (urged_[saga]++ >= 2) continue;
      const std::string by = somebody();
      command(saga, engine::Retry{by, "the trouble is over"}, "retry", by, 20);
      continue;
    }
    for (const auto& name : signals_of(status)) send_signal(saga, name);
  }
  scene_.outside.call_after(Duration{10'000}, [this] { urge(); });
}

}  // namespace backstitch::simulation
