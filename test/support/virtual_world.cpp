#include "virtual_world.hpp"

#include <utility>

namespace backstitch::test {

void ScriptedParticipants::call(engine::Call call, std::function<void(engine::CallResult)> done) {
  sent_.push_back(call);
  Reaction reaction = script_(call);
  executor_.call_after(reaction.after, [done = std::move(done),
                                        result = std::move(reaction.result)] { done(result); });
}

}  // namespace backstitch::test
