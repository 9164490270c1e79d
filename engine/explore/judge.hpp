#pragma once
/// Says whether what the machine did keeps the promises. It looks at the definition's blocks and at
/// what participants know, and shares no code with the machine's recovery, so that it can
/// contradict it.
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

#include "positions.hpp"

namespace backstitch::engine::explore {

struct Breach {
  std::string promise;  ///< `I4`, `expression`, …
  std::string what;     ///< a sentence
  bool operator==(const Breach&) const = default;
};

/// Where a step stands among the others.
struct Standing {
  struct Level {
    std::uint32_t position = 0;  ///< in its list
    const dsl::Step* block = nullptr;
    StepPath path;             ///< of the block; nullptr: the step itself is reached
    std::uint32_t inside = 0;  ///< branch, case, iteration; try: 0 the body, n its n-th catch
  };
  const dsl::Step* step = nullptr;  ///< nullptr: the path leads to no step
  bool main = false;                ///< not in a handler
  bool call = false;                ///< an action or a sub-saga
  bool effect = false;              ///< of these, in the main line, what is not only read
  bool can_be_undone = false;
  std::vector<Level> levels;
};
Standing standing_of(const dsl::Definition& definition, const StepPath& path);

enum class Order { before, after, beside };
/// How `other` stands to `one`. @param at  of `beside`: the level of the block they are beside in
Order order_of(const Standing& one, const Standing& other, std::size_t& at);

class Judge {
 public:
  Judge(const Program& program, Positions& positions) : program_(program), positions_(positions) {}

  /// After a transition: `before` was the position. Also notes in the ledgers what begins.
  std::optional<Breach> judge(const Ids& before, const std::vector<Event>& events,
                              const std::vector<Effect>& effects);
  /// Nothing more will happen by itself.
  std::optional<Breach> judge_end();

  const Standing& standing(Slot slot);

 private:
  std::optional<Breach> judge_call(const Ids& before, const CallParticipant& call);
  std::optional<Breach> judge_forward(const CallParticipant& call, Slot slot);
  std::optional<Breach> judge_request(const Ids& before, const CallParticipant& call, Slot slot);
  std::optional<Breach> judge_key(const CallParticipant& call, const RenderedRequest& request,
                                  Slot slot);
  std::optional<Breach> undo_begins(Slot slot);
  std::optional<Breach> undone_in_turn(Slot slot);
  std::optional<Breach> undone_beside(Slot slot, Slot other, std::size_t at);
  std::optional<Breach> called_for(Slot slot);
  std::optional<Breach> judge_events(const std::vector<Event>& events);
  std::optional<Breach> judge_completed();
  std::optional<Breach> judge_failed(bool incomplete);
  std::string not_done(const dsl::Steps& steps, const std::string& prefix,
                       std::vector<Slot>& accounted);
  std::string not_done_inside(const dsl::Step& step, const StepPath& path,
                              std::vector<Slot>& accounted);
  bool needs_undo(Slot slot);
  bool on_its_way(Slot slot) const;
  bool pivot_may_be_done();
  bool is_used_elsewhere(const std::string& key, Slot slot, Phase phase) const;

  const Program& program_;
  Positions& positions_;
  std::vector<std::optional<Standing>> standings_;
};

}  // namespace backstitch::engine::explore
