#pragma once
#include "http.hpp"

namespace backstitch::examples {

class Participants;

/// Whether a request is meant for the ledger, the faults or the counters, on whichever port: such
/// requests are never disturbed.
bool is_control(const Request& request);

/// @pre is_control(request)
void answer_control(Participants& participants, const Request& request, Reply& reply);

}  // namespace backstitch::examples
