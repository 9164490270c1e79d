#include "stage.hpp"

#include <algorithm>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/check.hpp>

#include "faults.hpp"

// What stands before a run; the run itself is in rehearsal.cpp.

namespace backstitch::rehearsal {

using namespace engine;

namespace {

constexpr Duration for_ever{3650LL * 86'400'000};

/// One node that owns everything and has nothing to fear: what keeps a real one safe would only be
/// work for every second of virtual time.
engine::Options engine_options() {
  engine::Options options;
  options.node = "rehearsal";
  options.lease = for_ever;
  options.lease_renewal = for_ever / 4;
  options.residence = for_ever;
  options.catalog_refresh_every = for_ever;
  options.removal_every = for_ever;
  options.callback_base = "https://rehearsal.invalid";
  return options;
}

Error bad_definition(const std::string& name, const std::vector<dsl::Finding>& findings) {
  const bool childless = std::any_of(findings.begin(), findings.end(),
                                     [](const auto& finding) { return finding.code == "E404"; });
  return dsl::with_errors(
      {ErrorCode::invalid, "definition-invalid",
       "The definition " + name + " cannot be registered." +
           (childless ? " The definitions of its sub-sagas have to be given with it." : "")},
      findings);
}

/// Whether the definition calls functions of that service instead of sending it requests.
bool is_local(const dsl::Definition& definition, const std::string& service) {
  const auto& paths = definition.step_paths;
  return std::any_of(paths.begin(), paths.end(), [&](const auto& entry) {
    const dsl::Step* step = dsl::find_step(definition, entry.first);
    const auto* action = step == nullptr ? nullptr : std::get_if<dsl::Action>(&step->body);
    return action != nullptr && action->request.service == service &&
           !action->request.operation.empty();
  });
}

}  // namespace

Stage::Stage(const Options& options)
    : options_(options),
      executor_(world_),
      store_(executor_, options.start),
      recorder_(store_, options.start,
                [this](const std::string& name, std::int64_t version) {
                  return engine_->registry().program(name, version)->definition;
                }),
      random_(options.seed) {}

Stage::~Stage() {
  if (!engine_) return;
  bool closed = false;
  engine_->close([&] { closed = true; });
  world_.run_until([&] { return closed; }, patience_);
}

Result<Done> Stage::prepare(const std::vector<std::string>& documents) {
  if (auto done = parse(documents); !done) return done;
  answers_.emplace(definitions_,
                   [this](const dsl::Service& named) { return service_named(named.use); });
  if (auto done = check_faults(options_, definitions_, *answers_); !done) return done;
  if (auto done = open(); !done) return done;
  return register_definitions(documents);
}

Result<Done> Stage::parse(const std::vector<std::string>& documents) {
  if (documents.empty())
    return Error{ErrorCode::invalid, "definition-invalid", "There is no definition to rehearse."};
  for (std::size_t i = 0; i < documents.size(); ++i) {
    auto parsed = dsl::parse_definition(documents[i]);
    if (!parsed.definition)
      return bad_definition("number " + std::to_string(i + 1), parsed.findings);
    definitions_.push_back(std::move(parsed.definition));
  }
  for (const auto& [name, document] : options_.services) {
    auto parsed = dsl::parse_service(json_text(document));
    if (!parsed.service) {
      return dsl::with_errors(
          {ErrorCode::invalid, "service-invalid", "The service " + name + " cannot be registered."},
          parsed.findings);
    }
    services_[name] = std::move(parsed.service);
  }
  return Done{};
}

const dsl::Service* Stage::service_named(const std::string& name) const {
  const auto found = services_.find(name);
  return found == services_.end() ? nullptr : found->second.get();
}

Result<Done> Stage::open() {
  StandIns::Links links;
  links.definition = [this](SagaId saga) -> const dsl::Definition& {
    return *recorder_.saga(saga).definition;
  };
  links.post = [this](Callback callback) {
    // Late ones are refused, which is the participant's own business.
    const auto saga = saga_of_callback(callback.token);
    if (saga) engine_->command(*saga, std::move(callback), [](const Result<Done>&) {});
  };
  stand_ins_.emplace(executor_, *answers_, options_, std::move(links));
  engine_.emplace(Ports{.reactors = {{&executor_, &*stand_ins_}},
                        .store = &recorder_,
                        .leases = &store_,
                        .inbox = &store_,
                        .reader = &store_,
                        .catalog = &store_,
                        .random = &random_,
                        .observer = &observer_},
                  engine_options());
  auto opened = answer_of<Done>([this](auto done) { engine_->open(std::move(done)); });
  if (!opened) return opened;
  return register_services();
}

/// Every service that is used by its name, as it was given or as a stand-in.
Result<Done> Stage::register_services() {
  std::map<std::string, Json> wanted = options_.services;
  for (const auto& definition : definitions_) {
    for (const auto& [name, service] : definition->services) {
      if (service.use.empty()) continue;
      wanted.try_emplace(service.use,
                         is_local(*definition, name)
                             ? Json{{"type", "local"}}
                             : Json{{"baseUrl", "https://" + service.use + ".rehearsal.invalid"}});
    }
  }
  for (const auto& [name, document] : wanted) {
    auto put =
        answer_of<ServiceRegistration>([&, name = name, text = json_text(document)](auto done) {
          engine_->registry().put_service(name, text, std::move(done));
        });
    if (!put) return std::move(put).error();
    if (has_errors(put->findings)) return bad_definition("of service " + name, put->findings);
  }
  return Done{};
}

/// Sub-sagas before those that run them, whatever the order they were given in.
Result<Done> Stage::register_definitions(std::vector<std::string> documents) {
  std::string name = definitions_.front()->name;
  std::vector<dsl::Finding> findings;
  while (!documents.empty()) {
    const std::size_t before = documents.size();
    std::vector<std::string> left;
    // The first last, so that what is wrong with it is told if nothing else is.
    for (auto document = documents.rbegin(); document != documents.rend(); ++document) {
      auto stored = answer_of<Registration>([&](auto done) {
        engine_->registry().register_definition(*document, true, std::move(done));
      });
      if (!stored) return std::move(stored).error();
      if (!has_errors(stored->findings)) {
        if (stored->outcome != PutOutcome::conflict) continue;
        return Error{ErrorCode::invalid, "definition-conflict",
                     "Two definitions are called " + stored->name + " version " +
                         std::to_string(stored->version) + "."};
      }
      if (!stored->name.empty()) name = stored->name;
      findings = stored->findings;
      left.push_back(*document);
    }
    std::reverse(left.begin(), left.end());
    documents = std::move(left);
    if (documents.size() == before) return bad_definition(name, findings);
  }
  return Done{};
}

}  // namespace backstitch::rehearsal
