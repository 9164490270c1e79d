#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/compatibility.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <backstitch/engine/runtime/registry.hpp>

namespace backstitch::engine {

struct CompatibilityQuery {
  std::string definition;
  std::int64_t version = 0;            ///< the one to move to
  std::optional<std::int64_t> from{};  ///< only sagas of this version
  std::optional<SagaId> before{};      ///< continue behind this id: newest first
  std::size_t limit = 200;             ///< sagas looked at; at most sagas_compared_max
};
inline constexpr std::size_t sagas_compared_max = 500;

struct ComparedSaga {
  SagaId id;
  std::int64_t version = 0;
  std::string status;
  std::vector<Incompatibility> reasons;  ///< empty: it could move
};
struct CompatibilityPage {
  std::vector<ComparedSaga> sagas;
  std::optional<SagaId> next;  ///< there may be more behind it
};

/// Which of the sagas that have not ended could go on by another version, and why the others could
/// not. Only looks: a running saga keeps its version. Everything must outlive the answer.
/// @return not_found/definition-not-found
void compare_running(const Registry& registry, SagaReader& reader, Store& store,
                     CompatibilityQuery query, std::function<void(Result<CompatibilityPage>)> done);

}  // namespace backstitch::engine
