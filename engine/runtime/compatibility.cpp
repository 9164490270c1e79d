#include <backstitch/engine/runtime/compatibility.hpp>

#include <algorithm>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "saga_actor.hpp"

namespace backstitch::engine {
namespace {

using PageDone = std::function<void(Result<CompatibilityPage>)>;

/// Those of the page that run by another version.
std::vector<SagaSummary> of_other_versions(const std::vector<SagaSummary>& page,
                                           const CompatibilityQuery& query) {
  std::vector<SagaSummary> others;
  std::copy_if(page.begin(), page.end(), std::back_inserter(others), [&](const SagaSummary& saga) {
    return saga.version != query.version && (!query.from || saga.version == *query.from);
  });
  return others;
}

ComparedSaga compared(const Registry& registry, const dsl::Definition& to,
                      const StoredSaga& stored) {
  ComparedSaga saga{stored.id, 0, "", {}};
  const auto folded = folded_log(registry, stored);
  if (!folded) {
    saga.reasons.push_back({"log-unreadable", "", folded.error().message});
    return saga;
  }
  saga.version = folded->state.version;
  saga.status = to_text(folded->state.status);
  saga.reasons = incompatibilities(*folded->program.definition, to, folded->state);
  return saga;
}

}  // namespace

void compare_running(const Registry& registry, SagaReader& reader, Store& store,
                     CompatibilityQuery query, PageDone done) {
  const auto program = registry.program(query.definition, query.version);
  if (!program) return done(program.error());
  ListQuery list{.statuses = {"RUNNING", "COMPENSATING", "SUSPENDED"},
                 .definition = query.definition,
                 .before = query.before,
                 .limit = std::min(query.limit, sagas_compared_max)};
  const std::size_t limit = list.limit;
  reader.list(std::move(list),
              [&registry, &store, to = program->definition, query = std::move(query), limit,
               done = std::move(done)](Result<std::vector<SagaSummary>> page) {
                if (!page) return done(std::move(page).error());
                CompatibilityPage answer;
                if (page->size() == limit) answer.next = page->back().id;
                std::vector<SagaId> ids;
                for (const auto& saga : of_other_versions(*page, query)) ids.push_back(saga.id);
                if (ids.empty()) return done(std::move(answer));
                store.load(std::move(ids), [&registry, to, answer = std::move(answer),
                                            done](Result<std::vector<StoredSaga>> stored) mutable {
                  if (!stored) return done(std::move(stored).error());
                  for (const auto& saga : *stored)
                    answer.sagas.push_back(compared(registry, *to, saga));
                  done(std::move(answer));
                });
              });
}

}  // namespace backstitch::engine
