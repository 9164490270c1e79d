#pragma once
/// Where a step stands: from its path to the step and the blocks around it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {

/// The three lists of a definition.
enum class Area { main, on_failure, on_suspended };

/// A block around a step, and the list inside it that leads on.
struct Frame {
  const dsl::Step* block = nullptr;
  StepPath path;            ///< of the block
  std::uint32_t index = 0;  ///< branch, case, iteration; of a try: 0 the body, n the n-th catch
};

/// A list of steps as it runs.
struct ListPlace {
  const dsl::Steps* steps = nullptr;
  std::string prefix;  ///< of its steps' paths
  Area area = Area::main;
  std::vector<Frame> frames;           ///< the outermost first
  std::vector<std::uint32_t> indexes;  ///< what the `[n]` of the path are, in order
};

/// A step as it runs.
struct Located {
  const dsl::Step* step = nullptr;
  StepPath path;
  Area area = Area::main;
  std::vector<Frame> frames;
  std::vector<std::uint32_t> indexes;
};

Located locate_in(const ListPlace& list, const dsl::Step& step);
ListPlace main_line(const dsl::Definition& definition);
ListPlace failure_handlers(const dsl::Definition& definition);
/// The notices of the n-th suspension, counted from one.
ListPlace suspension_handlers(const dsl::Definition& definition, std::uint32_t number);

/// The lists inside a block; `index` as in Frame.
ListPlace inside(const Located& block, const dsl::Steps& steps, std::uint32_t index);
std::string branch_prefix(const StepPath& block, const dsl::Branch& branch);
std::string iteration_prefix(const StepPath& block, std::uint32_t index);

/// @return nothing for a path that the definition has no step for
std::optional<Located> locate(const dsl::Definition& definition, const StepPath& path);
/// The path of the block right around a step; empty: there is none.
StepPath block_around(const dsl::Definition& definition, const StepPath& path);
/// The path of a step by its name, as it is seen from a place with these indexes.
StepPath path_of_name(const dsl::Definition& definition, std::string_view name,
                      const std::vector<std::uint32_t>& indexes);

bool is_block(const dsl::Step& step);

}  // namespace backstitch::engine
