#pragma once
#include <cstdint>
#include <string>

#include <backstitch/engine/runtime/engine.hpp>

namespace backstitch::rest {

/// The Prometheus text format, version 0.0.4: small enough here to need no library. A figure that
/// is not known is absent.
std::string metrics_text(const engine::Counters& counters);
/// @param dropped lines that were not written because too many waited
std::string log_metrics_text(std::uint64_t dropped);

}  // namespace backstitch::rest
