#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/finding.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <backstitch/engine/ports/workers.hpp>
#include <backstitch/engine/runtime/options.hpp>

namespace backstitch::engine {

/// What a node with Options::read_only answers to all that would write.
Error node_is_read_only();

struct Registration {
  PutOutcome outcome = PutOutcome::created;  ///< meaningless while findings have errors
  std::string name;
  std::int64_t version = 0;
  std::string hash;
  bool active = false;
  std::vector<dsl::Finding> findings;  ///< with errors: nothing was stored
};

struct ServiceRegistration {
  PutOutcome outcome = PutOutcome::created;
  std::vector<dsl::Finding> findings;
};

/// The definitions and services this node knows: a snapshot of the catalogue, refreshed by itself
/// and after every change made here. Thread-safe; reading never waits. What checks a document does
/// so inside the call, which is work for one of the engine's Workers; a second check, after a look
/// into the catalogue, is submitted to them: overloaded/work-queue-full.
class Registry {
 public:
  Registry(Catalog& catalog, const Options& options, Workers& workers);
  ~Registry();

  /// @return not_found/definition-not-found. Without a version: the active one.
  Result<Program> program(std::string_view name, std::optional<std::int64_t> version) const;
  /// The registered services, for running sagas; never null.
  std::shared_ptr<const ServiceMap> services_by_name() const;
  /// Grows when services_by_name() gives another map than before; cheap to ask.
  std::uint64_t service_changes() const;
  /// What register_definition would say, as far as this node knows; nothing is stored.
  void validate(std::string text, std::function<void(Result<Registration>)> done);
  void register_definition(std::string text, bool activate,
                           std::function<void(Result<Registration>)> done);
  void activate(std::string name, std::int64_t version, std::function<void(Result<Done>)> done);
  void put_service(std::string name, std::string text,
                   std::function<void(Result<ServiceRegistration>)> done);

  /// All, by name then version. Documents included.
  std::vector<std::shared_ptr<const StoredDefinition>> definitions() const;
  std::vector<StoredService> services() const;

  /// Called once, with the name of the first definition that asks for callbacks: of those known
  /// already, or when one becomes known. Set it before the engine opens.
  void on_first_callback(std::function<void(const std::string& definition)> told);
  /// What idempotency keys are derived with. To be called before the first `refresh`.
  void set_key_secret(std::string secret);
  /// Where participants post the answers of pending calls; instead of Options::callback_base, where
  /// the port is known only after listening. Before anything is started.
  void set_callback_base(std::string url);
  /// Brings the snapshot up to date; at least once before anything is started.
  void refresh(std::function<void(Result<Done>)> done);
  /// Forgets what the catalogue does not hold: it has been set back.
  void read_anew(std::function<void(Result<Done>)> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace backstitch::engine
