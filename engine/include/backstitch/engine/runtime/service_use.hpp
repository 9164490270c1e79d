#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <backstitch/engine/ports/store.hpp>
#include <backstitch/engine/runtime/registry.hpp>

namespace backstitch::engine {

/// Sagas that have not ended and whose definition names a registered service: their next call goes
/// to the service as it is registered then.
struct ServiceUse {
  std::size_t sagas = 0;
  bool more = false;  ///< there are more than were counted
};
inline constexpr std::size_t sagas_counted_max = 10'000;

/// @return the reader's error
void count_service_use(const Registry& registry, SagaReader& reader, const std::string& service,
                       std::function<void(Result<ServiceUse>)> done);

}  // namespace backstitch::engine
