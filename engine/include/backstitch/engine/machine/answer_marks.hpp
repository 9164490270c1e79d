#pragma once
/// Whether an answer is the participant's own answer to the call that it came for. A gateway may
/// answer in its place, and on a kept connection the answer to another request may arrive. One rule
/// for every carrier. Pure; any thread.
#include <string>
#include <utility>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

/// The key that a request carries: its own idempotency key, else that of the action it asks about.
const std::string& key_carried(const RenderedRequest& request);

/// @param headers of the answer, with names in lower case
/// @return why the answer is not the participant's own; empty: it is, as far as the marks that the
/// service declares tell
std::string foreign_answer(const dsl::AnswerMarks& marks, const RenderedRequest& request,
                           int status,
                           const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace backstitch::engine
