#pragma once
#include <map>
#include <string>
#include <utility>

#include <backstitch/engine/machine/effect.hpp>
#include <backstitch/engine/machine/state.hpp>

namespace backstitch::test {

/// Looks at every call of a saga as its participants and what stands before them do: whether its
/// keys and its path reach them as they are, and say what the participant contract promises.
class WatchedCalls {
 public:
  /// What is wrong with a call that is about to be sent; empty: nothing.
  std::string look_at(const engine::CallParticipant& call, const engine::SagaState& state);

 private:
  std::string look_at_key(const std::string& key, const std::string& owner);

  std::map<std::string, std::string> owners_;  ///< by key in lower case: one step, one direction
  std::map<std::string, std::string> keys_;    ///< by owner
};

}  // namespace backstitch::test
