#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/runtime/registry.hpp>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <mutex>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/pins.hpp>

namespace backstitch::engine {
namespace {

struct Version {
  std::shared_ptr<const StoredDefinition> stored;
  std::shared_ptr<const dsl::Definition> definition;
  bool expects_callbacks = false;
};

/// Everything known at one moment; never changed once published.
struct Snapshot {
  std::int64_t revision = 0;
  std::map<std::string, std::map<std::int64_t, Version>, std::less<>> definitions;
  std::map<std::string, std::int64_t, std::less<>> active;
  std::map<std::string, StoredService> services;
  std::shared_ptr<const ServiceMap> services_by_name = std::make_shared<ServiceMap>();

  /// nullptr: not registered.
  const StoredDefinition* find(const std::string& name, std::int64_t version) const {
    const auto versions = definitions.find(name);
    if (versions == definitions.end()) return nullptr;
    const auto found = versions->second.find(version);
    return found == versions->second.end() ? nullptr : found->second.stored.get();
  }
};

Error no_definition(std::string_view name, std::optional<std::int64_t> version) {
  return {ErrorCode::not_found, "definition-not-found",
          "No definition `" + std::string(name.substr(0, 128)) + "`" +
              (version ? " version " + std::to_string(*version) : "") + " is registered."};
}

void as_warnings(std::vector<dsl::Finding>& findings) {
  for (auto& finding : findings)
    if (finding.severity == dsl::Severity::error) finding.severity = dsl::Severity::warning;
}

Registration registration_of(const dsl::Parsed& parsed) {
  Registration registration;
  registration.findings = parsed.findings;
  if (parsed.definition) {
    registration.name = parsed.definition->name;
    registration.version = parsed.definition->version;
    registration.hash = parsed.definition->hash;
  }
  return registration;
}

/// Any step of the document, at any depth.
bool asks_for_callback(const Json& node) {
  if (!node.is_structured()) return false;
  if (node.is_object()) {
    const auto completion = node.find("completion");
    if (completion != node.end() && completion->is_object() && completion->contains("callback"))
      return true;
  }
  return std::any_of(node.begin(), node.end(), asks_for_callback);
}

}  // namespace

struct Registry::Impl : std::enable_shared_from_this<Registry::Impl> {
  Impl(Catalog& where, const Options& given, Workers& pool)
      : catalog(where),
        workers(pool),
        options(given),
        callback_base(std::make_shared<const std::string>(given.callback_base)),
        snapshot(std::make_shared<const Snapshot>()) {}

  std::shared_ptr<const Snapshot> current() const { return snapshot.load(); }

  /// Merges what changed into a new snapshot. Changes may be applied twice.
  /// @param since of which `readings` the changes are
  void merge(CatalogContent content, std::uint64_t since) {
    const std::lock_guard lock(merging);
    const auto known = current();
    if (since != readings || (content.definitions.empty() && content.services.empty() &&
                              content.revision <= known->revision)) {
      return;
    }
    publish(*known, std::move(content));
  }

  /// @param content of the whole catalogue
  void replace(CatalogContent content) {
    const std::lock_guard lock(merging);
    ++readings;
    publish({}, std::move(content));
    service_changes.fetch_add(1);
  }

  void publish(const Snapshot& known, CatalogContent content) {
    auto next = std::make_shared<Snapshot>(known);
    for (auto& stored : content.definitions) {
      tell_of_callback(stored);
      merge_definition(*next, std::move(stored));
    }
    if (!content.services.empty()) {
      auto by_name = std::make_shared<ServiceMap>(*next->services_by_name);
      for (auto& stored : content.services) {
        auto parsed = dsl::parse_service(stored.document);
        if (parsed.service) (*by_name)[stored.name] = parsed.service;
        next->services[stored.name] = std::move(stored);
      }
      next->services_by_name = std::move(by_name);
    }
    next->revision = std::max(next->revision, content.revision);
    snapshot.store(std::move(next));
    if (!content.services.empty()) service_changes.fetch_add(1);
  }

  void tell_of_callback(const StoredDefinition& stored) {
    if (first_callback && asks_for_callback(dsl::stored_json(stored.document)))
      std::exchange(first_callback, nullptr)(stored.name);
  }

  static void merge_definition(Snapshot& next, StoredDefinition stored) {
    Version& version = next.definitions[stored.name][stored.version];
    if (!version.definition) {
      version.definition =
          with_pins(dsl::parse_definition(stored.document).definition, stored.pins);
      version.expects_callbacks = asks_for_callback(dsl::stored_json(stored.document));
    }
    if (stored.active) {
      const auto before = next.active.find(stored.name);
      if (before != next.active.end()) {
        auto& replaced = next.definitions[stored.name][before->second].stored;
        auto inactive = std::make_shared<StoredDefinition>(*replaced);
        inactive->active = false;
        replaced = std::move(inactive);
      }
      next.active[stored.name] = stored.version;
    }
    version.stored = std::make_shared<const StoredDefinition>(std::move(stored));
  }

  dsl::CheckContext check_context() const {
    dsl::CheckContext context = options.environment;
    context.service =
        [known = current()](const std::string& name) -> std::shared_ptr<const dsl::Service> {
      const auto found = known->services_by_name->find(name);
      return found == known->services_by_name->end() ? nullptr : found->second;
    };
    context.definition = [known = current()](
                             const std::string& name,
                             std::int64_t version) -> std::shared_ptr<const dsl::Definition> {
      const auto versions = known->definitions.find(name);
      if (versions == known->definitions.end()) return nullptr;
      const auto active = known->active.find(name);
      const auto found = versions->second.find(
          version != 0 || active == known->active.end() ? version : active->second);
      return found == versions->second.end() ? nullptr : found->second.definition;
    };
    return context;
  }

  dsl::Parsed check(std::string_view text, const dsl::CheckContext& context) const {
    dsl::Parsed parsed = dsl::parse_and_check(text, context, options.definition_limits);
    if (!parsed.definition) accept_if_registered(text, parsed);
    return parsed;
  }

  /// A version that is registered stays valid when the checker gains rules: they only warn.
  void accept_if_registered(std::string_view text, dsl::Parsed& parsed) const {
    const auto readable = dsl::parse_definition(text, options.definition_limits).definition;
    if (!readable) return;
    const auto known = current();
    const auto* stored = known->find(readable->name, readable->version);
    if (stored == nullptr || stored->hash != readable->hash) return;
    parsed.definition = readable;
    as_warnings(parsed.findings);
  }

  /// What the checker says of a service, and what it would change for registered definitions.
  std::vector<dsl::Finding> check_service(const std::string& name,
                                          const dsl::ParsedService& parsed) const {
    const auto known = current();
    auto findings = dsl::check_service(parsed, name, options.environment);
    const auto stored = known->services.find(name);
    if (stored != known->services.end() &&
        dsl::stored_json(stored->second.document) == parsed.document)
      as_warnings(findings);
    for (const auto& [definition, versions] : known->definitions) {
      for (const auto& [number, version] : versions) {
        if (!version.definition) continue;
        for (auto& finding : dsl::check_service_use(*version.definition, name, *parsed.service))
          findings.push_back(std::move(finding));
      }
    }
    return findings;
  }

  void refresh(std::function<void(Result<Done>)> done) {
    const std::uint64_t since = readings;
    catalog.changes(current()->revision, [self = shared_from_this(), since,
                                          done = std::move(done)](Result<CatalogContent> content) {
      if (!content) return done(std::move(content).error());
      self->merge(std::move(*content), since);
      done(Done{});
    });
  }

  void read_anew(std::function<void(Result<Done>)> done) {
    catalog.changes(
        0, [self = shared_from_this(), done = std::move(done)](Result<CatalogContent> content) {
          if (!content) return done(std::move(content).error());
          self->replace(std::move(*content));
          done(Done{});
        });
  }

  /// Checks once more after a look into the catalogue: what a document names may have been
  /// registered at another node a moment ago.
  template <class T>
  void check_again(std::function<void()> check, std::function<void(Result<T>)> done) {
    refresh([self = shared_from_this(), check = std::move(check),
             done = std::move(done)](const Result<Done>&) {
      auto queued = self->workers.submit(check);
      if (!queued) done(std::move(queued).error());
    });
  }

  Registration validated(std::string_view text) const;
  void put(const dsl::Parsed& parsed, bool activate,
           std::function<void(Result<Registration>)> done);

  Catalog& catalog;
  Workers& workers;
  Options options;
  std::shared_ptr<const std::string> callback_base;
  std::shared_ptr<const std::string> key_secret;
  std::function<void(const std::string&)> first_callback;
  std::mutex merging;  ///< of what follows, and of `first_callback`
  std::atomic<std::shared_ptr<const Snapshot>> snapshot;
  std::atomic<std::uint64_t> readings{0};  ///< of the whole catalogue
  std::atomic<std::uint64_t> service_changes{0};
};

Registry::Registry(Catalog& catalog, const Options& options, Workers& workers)
    : impl_(std::make_shared<Impl>(catalog, options, workers)) {}
Registry::~Registry() = default;

Result<Program> Registry::program(std::string_view name,
                                  std::optional<std::int64_t> version) const {
  const auto known = impl_->current();
  const auto versions = known->definitions.find(name);
  if (versions == known->definitions.end()) return no_definition(name, version);
  const auto active = known->active.find(name);
  if (!version && active == known->active.end()) return no_definition(name, version);
  const auto found = versions->second.find(version ? *version : active->second);
  if (found == versions->second.end()) return no_definition(name, version);
  if (!found->second.definition) {
    return Error{ErrorCode::internal, "definition-unreadable",
                 "The stored definition " + std::string(name) +
                     " cannot be read by this version of the engine."};
  }
  Program program{found->second.definition, known->services_by_name, impl_->callback_base,
                  impl_->key_secret};
  program.expects_callbacks = found->second.expects_callbacks;
  program.transition_steps_max = impl_->options.transition_steps_max;
  return program;
}

std::shared_ptr<const ServiceMap> Registry::services_by_name() const {
  return impl_->current()->services_by_name;
}

std::uint64_t Registry::service_changes() const {
  return impl_->service_changes.load();
}

Registration Registry::Impl::validated(std::string_view text) const {
  const auto known = current();
  auto context = check_context();
  Registration registration = registration_of(check(text, context));
  const auto* stored = known->find(registration.name, registration.version);
  if (stored == nullptr) {
    // The first of its name.
    registration.active = known->definitions.count(registration.name) == 0;
    return registration;
  }
  registration.active = stored->active;
  registration.outcome =
      stored->hash == registration.hash ? PutOutcome::same : PutOutcome::conflict;
  if (registration.outcome == PutOutcome::same) return registration;
  context.registered_hash = [stored](const std::string&, std::int64_t) { return stored->hash; };
  registration.findings = check(text, context).findings;
  return registration;
}

void Registry::validate(std::string text, std::function<void(Result<Registration>)> done) {
  Registration registration = impl_->validated(text);
  if (!has_errors(registration.findings)) return done(std::move(registration));
  impl_->check_again<Registration>(
      [impl = impl_, text = std::move(text), done] { done(impl->validated(text)); }, done);
}

Error node_is_read_only() {
  return {ErrorCode::unavailable, "node-read-only",
          "This node was started with --read-only: it takes no starts, commands or registrations."};
}

void Registry::register_definition(std::string text, bool activate,
                                   std::function<void(Result<Registration>)> done) {
  if (impl_->options.read_only) return done(node_is_read_only());
  const auto parsed = impl_->check(text, impl_->check_context());
  if (!has_errors(parsed.findings)) return impl_->put(parsed, activate, std::move(done));
  impl_->check_again<Registration>(
      [impl = impl_, text = std::move(text), activate, done] {
        const auto again = impl->check(text, impl->check_context());
        if (has_errors(again.findings)) return done(registration_of(again));
        impl->put(again, activate, done);
      },
      done);
}

/// @pre without errors
void Registry::Impl::put(const dsl::Parsed& parsed, bool activate,
                         std::function<void(Result<Registration>)> done) {
  Registration registration = registration_of(parsed);
  StoredDefinition stored;
  stored.name = registration.name;
  stored.version = registration.version;
  stored.hash = registration.hash;
  stored.document = json_text(parsed.definition->document);
  stored.findings = json_list(dsl::shown(registration.findings).list).dump();
  stored.pins = pins_of(*parsed.definition, check_context().definition);
  catalog.put_definition(std::move(stored), activate,
                         [impl = shared_from_this(), registration = std::move(registration),
                          done = std::move(done)](Result<PutOutcome> outcome) mutable {
                           if (!outcome) return done(std::move(outcome).error());
                           registration.outcome = *outcome;
                           impl->refresh([impl, registration = std::move(registration),
                                          done = std::move(done)](const Result<Done>&) mutable {
                             const auto known = impl->current();
                             const auto active = known->active.find(registration.name);
                             registration.active = active != known->active.end() &&
                                                   active->second == registration.version;
                             done(std::move(registration));
                           });
                         });
}

void Registry::activate(std::string name, std::int64_t version,
                        std::function<void(Result<Done>)> done) {
  if (impl_->options.read_only) return done(node_is_read_only());
  impl_->catalog.activate(std::move(name), version,
                          [impl = impl_, done = std::move(done)](Result<Done> activated) mutable {
                            if (!activated) return done(std::move(activated).error());
                            impl->refresh(std::move(done));
                          });
}

void Registry::put_service(std::string name, std::string text,
                           std::function<void(Result<ServiceRegistration>)> done) {
  if (impl_->options.read_only) return done(node_is_read_only());
  if (!dsl::is_service_name(name)) {
    return done(Error{ErrorCode::invalid, "service-name-invalid",
                      "The name of a service consists of letters, digits, `.`, `_` and `-`, at "
                      "most 128, and begins with a letter or digit."});
  }
  auto parsed = dsl::parse_service(text);
  ServiceRegistration registration{PutOutcome::created, std::move(parsed.findings)};
  if (parsed.service) {
    auto found = impl_->check_service(name, parsed);
    std::move(found.begin(), found.end(), std::back_inserter(registration.findings));
  }
  if (has_errors(registration.findings)) return done(std::move(registration));
  impl_->catalog.put_service(
      {std::move(name), json_text(parsed.document)},
      [impl = impl_, registration = std::move(registration),
       done = std::move(done)](Result<PutOutcome> outcome) mutable {
        if (!outcome) return done(std::move(outcome).error());
        registration.outcome = *outcome;
        impl->refresh([registration = std::move(registration), done = std::move(done)](
                          const Result<Done>&) mutable { done(std::move(registration)); });
      });
}

std::vector<std::shared_ptr<const StoredDefinition>> Registry::definitions() const {
  std::vector<std::shared_ptr<const StoredDefinition>> list;
  const auto known = impl_->current();
  for (const auto& [name, versions] : known->definitions) {
    for (const auto& [number, version] : versions) list.push_back(version.stored);
  }
  return list;
}

std::vector<StoredService> Registry::services() const {
  std::vector<StoredService> list;
  const auto known = impl_->current();
  for (const auto& [name, stored] : known->services) list.push_back(stored);
  return list;
}

void Registry::on_first_callback(std::function<void(const std::string&)> told) {
  const std::lock_guard lock(impl_->merging);
  impl_->first_callback = std::move(told);
  for (const auto& stored : definitions()) impl_->tell_of_callback(*stored);
}

void Registry::set_key_secret(std::string secret) {
  impl_->key_secret = std::make_shared<const std::string>(std::move(secret));
}

void Registry::set_callback_base(std::string url) {
  // The path of a callback begins with a slash.
  url.erase(url.find_last_not_of('/') + 1);
  impl_->callback_base = std::make_shared<const std::string>(std::move(url));
}

void Registry::read_anew(std::function<void(Result<Done>)> done) {
  impl_->read_anew(std::move(done));
}

void Registry::refresh(std::function<void(Result<Done>)> done) {
  impl_->refresh(std::move(done));
}

}  // namespace backstitch::engine
