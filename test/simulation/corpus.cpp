#include "corpus.hpp"

#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

#include <backstitch/engine/runtime/registry.hpp>
#include <backstitch/memory/store.hpp>
#include <backstitch/virtual/world.hpp>

#include "../support/random_definition.hpp"

namespace backstitch::simulation {
namespace {

Json read_json(const std::string& file) {
  std::ifstream in(std::string(BACKSTITCH_EXAMPLES) + "/" + file);
  if (!in) throw std::runtime_error("no example " + file);
  return Json::parse(in);
}

/// Every object of a document that has that member.
template <class Use>
void each_with(Json& node, const char* member, const Use& use) {
  if (node.is_object() && node.contains(member)) use(node);
  for (auto& inner : node) {
    if (inner.is_structured()) each_with(inner, member, use);
  }
}

std::vector<std::string> signals_of(Json document) {
  std::set<std::string> names;
  each_with(document, "wait", [&](const Json& step) {
    const Json& signal = step["wait"]["signal"];
    for (const auto& name : signal.is_array() ? signal : Json::array({signal}))
      names.insert(name.get<std::string>());
  });
  return {names.begin(), names.end()};
}

/// By what the answers of some services are known; the others have none.
const Json answer_marks{{"echo", "X-Request-Key"}};

void mark_answers(Json& document, std::uint64_t number) {
  if (number % 3 != 0) document["services"]["s"]["answers"] = answer_marks;
}

const std::set<std::string> unmarked{"shipping", "mail", "cars-primary", "compliance"};

Json service_document(const std::string& name) {
  Json document{{"baseUrl", "https://" + name + ".example"}};
  if (!unmarked.contains(name)) document["answers"] = answer_marks;
  return document;
}

/// What is sent must not depend on the saga's id or its time: a start that was forgotten and is
/// repeated has other ones (W429).
void make_repeatable(Json& node) {
  for (auto& inner : node) {
    if (inner.is_structured()) make_repeatable(inner);
    if (!inner.is_string()) continue;
    std::string text = inner.get<std::string>();
    for (auto at = text.find("saga.id"); at != std::string::npos; at = text.find("saga.id", at))
      text.replace(at, std::string_view("saga.id").size(), "saga.root");
    inner = text;
  }
}

/// Participants here know a sealed probe by its path.
void adapt(Json& document) {
  make_repeatable(document);
  each_with(document, "probe", [&](Json& step) {
    if (step["probe"].contains("sealed"))
      step["probe"]["http"] = "GET /sealed/" + step["name"].get<std::string>();
  });
}

/// Where a refusal is not believed, because an attempt before it was unknown or no rule names it, a
/// step that cannot fail is asked for again for days: here for minutes. So is a callback awaited, which the store
/// may forget.
void shorten(Json& document) {
  each_with(document, "completion", [](Json& step) {
    if (step["completion"].value("timeout", "") == "24h") step["completion"]["timeout"] = "10m";
  });
  each_with(document, "action", [&](Json& step) {
    const Json kind = step.value("kind", Json());
    if (kind == "pivot" || kind == "retryable")
      step["retry"] = {{"maxAttempts", "unlimited"},
                       {"delay", "1s"},
                       {"maxDelay", "30s"},
                       {"maxElapsed", "10m"}};
    else if (step["action"].value("http", "").starts_with("GET") &&
             step.value("retry", Json::object()).is_object())
      step["retry"]["maxElapsed"] = "10m";
  });
}

/// What the generator leaves out: undos that tell why, in every part of a request.
void explain(Json& document, test::Dice& dice) {
  each_with(document, "compensation", [&](Json& step) {
    if (!step["compensation"].is_object() || !dice.chance(40)) return;
    Json& undo = step["compensation"];
    undo["headers"] = {{"X-Why", "${failure.message}"}};
    undo["query"] = {{"step", "${failure.step}"}};
    undo["body"] = {{"reason", "${failure.details?.reason}"},
                    {"first", "${failure.details?[0]?.reason ?? failure.details}"}};
  });
}

/// What the generator leaves out: calls that are answered later, or wait for others to be.
void enrich(Json& document, test::Dice& dice) {
  if (dice.chance(40)) {
    document["services"]["s"]["limits"] = {{"maxInFlight", dice.pick({1, 2, 4})},
                                           {"maxQueue", dice.pick({0, 2, 100})}};
  }
  each_with(document, "action", [&](Json& step) {
    const std::string name = step["name"];
    const bool reads = step["action"]["http"].get<std::string>().starts_with("GET");
    if (reads || step.contains("timeout") || !dice.chance(20)) return;
    if (step.contains("probe"))
      step["probe"]["outcomes"].push_back(
          {{"when", "${response.body?.state == 'QUEUED'}"}, {"is", "pending"}});
    const bool polled = dice.chance(50);
    if (polled) step["action"]["http"] = "PUT /polled/" + name + "/${saga.root}";
    step["completion"] = {{"callback", true}, {"timeout", dice.pick({"30s", "10m"})}};
    if (!polled) return;
    step["completion"]["poll"] = {
        {"http", "GET /polled/" + name},
        {"every", "5s"},
        {"outcomes",
         Json::array({{{"when", "${response.body.state == 'PENDING'}"}, {"is", "pending"}},
                      {{"when", "${response.body.state == 'REFUSED'}"},
                       {"is", "failure"},
                       {"code", "REFUSED"}}})}};
  });
}

/// A saga around another: an undo before it, and one behind it that may fail.
Json parent_of(const Json& child, const Json& input, const std::string& name, bool pivot) {
  const auto call = [](const char* step) {
    return Json{
        {"name", step},
        {"action", {{"service", "s"}, {"http", std::string("PUT /") + step + "/${saga.root}"}}}};
  };
  Json before = call("before");
  before["compensation"] = {{"http", "DELETE /before/${saga.root}"}};
  Json step{{"name", "inner"},
            {"saga", {{"name", child["name"]}, {"version", 1}, {"input", input}}}};
  Json behind = call("behind");
  if (pivot)
    behind["kind"] = "retryable";
  else
    behind["compensation"] = {{"http", "DELETE /behind/${saga.root}"}};
  Json last = call("last");
  if (pivot)
    last["kind"] = "retryable";
  else
    last["compensation"] = {{"http", "DELETE /last/${saga.root}"}};
  return {{"dsl", 1},
          {"name", name},
          {"version", 1},
          {"services", {{"s", {{"baseUrl", "https://s.example"}}}}},
          {"steps", Json::array({before, step, behind, last})}};
}

/// Chains beside each other whose undos are given up at once: one is stuck while others go on.
Json chains(const std::string& name) {
  Json branches = Json::object();
  for (const char* branch : {"a", "b", "c", "d"}) {
    for (const char* number : {"1", "2", "3"}) {
      const std::string step = std::string(branch) + number;
      branches[branch].push_back(
          {{"name", step},
           {"action", {{"service", "s"}, {"http", "PUT /" + step + "/${saga.root}"}}},
           {"compensation",
            {{"http", "DELETE /" + step + "/${saga.root}"}, {"retry", {{"maxAttempts", 1}}}}}});
    }
  }
  return {
      {"dsl", 1},
      {"name", name},
      {"version", 1},
      {"services", {{"s", {{"baseUrl", "https://s.example"}}}}},
      {"steps",
       Json::array(
           {{{"name", "chains"}, {"parallel", {{"branches", branches}}}},
            {{"name", "stop"}, {"when", "${uuid('stop') < '8'}"}, {"fail", {{"code", "STOP"}}}}})}};
}

}  // namespace

/// A registry to check and store definitions with, as a node would.
struct Corpus::Workbench {
  Workbench() : executor(world), store(executor, TimePoint{}), registry(store, {}, workers) {}
  template <class T>
  T await(const std::function<void(std::function<void(T)>)>& call) {
    std::optional<T> answer;
    call([&](T given) { answer = std::move(given); });
    if (!world.run_until([&] { return answer.has_value(); }))
      throw std::runtime_error("the registry does not answer");
    return std::move(*answer);
  }

  virtual_time::VirtualWorld world;
  virtual_time::VirtualExecutor executor;
  memory::MemoryStore store;
  engine::InlineWorkers workers;
  engine::Registry registry;
};

Corpus::Corpus() {
  for (const char* name :
       {"orders", "inventory", "shipping", "mail", "payments", "air-gds", "hotels", "cars-primary",
        "cars-backup", "billing", "compliance", "task-inbox", "payment-network", "ledger"})
    services_.push_back({name, service_document(name).dump()});
  add_example({"order/orders.place.json"}, "order/input.json");
  add_example({"travel/travel.book.json"}, "travel/input.json");
  add_example({"transfer/accounts.debit.json", "transfer/transfers.cross-border.json"},
              "transfer/input.json");
}

Corpus::~Corpus() = default;

void Corpus::add_example(const std::vector<std::string>& files, const std::string& input) {
  std::vector<Json> documents;
  for (const auto& file : files) documents.push_back(read_json(file));
  auto example = registered(documents, read_json(input));
  if (!example) throw std::runtime_error("an example cannot be registered: " + files.back());
  examples_.push_back(std::move(example));
}

std::unique_ptr<Specimen> Corpus::registered(std::vector<Json> documents, Json input) {
  for (auto& document : documents) shorten(document);
  Workbench bench;
  using engine::Registration;
  for (const auto& service : services_) {
    const auto stored = bench.await<Result<engine::ServiceRegistration>>(
        [&](auto done) { bench.registry.put_service(service.name, service.document, done); });
    if (!stored) throw std::runtime_error("a service cannot be registered: " + service.name);
  }
  auto specimen = std::make_unique<Specimen>();
  for (const auto& document : documents) {
    const auto done = bench.await<Result<Registration>>(
        [&](auto then) { bench.registry.register_definition(document.dump(), true, then); });
    if (!done || !done->active) return nullptr;
  }
  specimen->stored = bench.registry.definitions();
  for (const auto& document : documents) {
    documents_[document["name"]] = document;
    for (auto& name : signals_of(document)) specimen->signals.push_back(std::move(name));
  }
  specimen->document = documents.back();
  specimen->name = specimen->document["name"];
  specimen->input = std::move(input);
  return specimen;
}

std::unique_ptr<Specimen> Corpus::made(std::uint64_t number) {
  if (number % 16 == 5) {
    Json document = chains("random.r" + std::to_string(number));
    mark_answers(document, number);
    return registered({document}, Json::object());
  }
  test::Dice dice(number);
  auto random = test::random_definition(number * 7919 + 1, 8);
  random.document["name"] = "random.r" + std::to_string(number);
  adapt(random.document);
  mark_answers(random.document, number);
  explain(random.document, dice);
  const Json plain = random.document;
  enrich(random.document, dice);
  auto specimen = registered({random.document}, random.input);
  if (!specimen) specimen = registered({plain}, random.input);
  return specimen;
}

std::unique_ptr<Specimen> Corpus::family(std::uint64_t number) {
  auto random = test::random_definition(number * 7919 + 1, 4);
  adapt(random.document);
  mark_answers(random.document, number);
  // Every child is another's, so no key of its own.
  random.document.erase("businessKey");
  random.document["name"] = "random.c" + std::to_string(number);
  const std::string name = "random.p" + std::to_string(number);
  for (const bool pivot : {false, true}) {
    Json parent = parent_of(random.document, random.input, name, pivot);
    mark_answers(parent, number + 1);
    auto specimen = registered({random.document, parent}, Json::object());
    if (specimen) return specimen;
  }
  return nullptr;
}

const Specimen& Corpus::drawn(test::Dice& dice) {
  if (dice.chance(35))
    return *dice.pick(
        std::vector<const Specimen*>{examples_[0].get(), examples_[1].get(), examples_[2].get()});
  for (std::uint64_t number = dice.below(random_ones);; number = (number + 1) % random_ones) {
    auto found = random_.find(number);
    if (found == random_.end())
      found = random_.emplace(number, number % 4 == 0 ? family(number) : made(number)).first;
    if (found->second) return *found->second;
  }
}

}  // namespace backstitch::simulation
