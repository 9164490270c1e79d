#include "keys.hpp"

#include <backstitch/base/digest.hpp>

namespace backstitch::engine {
namespace {

constexpr std::size_t digest_chars = 32;

/// The names on the way to the step, joined by hyphens, which no name holds. An iteration is named
/// by a digest of its key, so a list built in another order means the same, else by its index.
std::string joined_path(const SagaState& state, const Located& at) {
  std::string path;
  std::string_view rest = at.path;
  const auto append = [&](std::string_view part) {
    for (const char c : part) {
      if (c != ']') path += c == '/' || c == '[' ? '-' : c;
    }
  };
  for (const auto& frame : at.frames) {
    if (!std::holds_alternative<dsl::ForEach>(frame.block->body)) continue;
    const std::size_t bracket = frame.path.size() - (at.path.size() - rest.size());
    const std::size_t end = rest.find(']', bracket);
    const auto block = state.blocks.find(frame.path);
    const bool by_key = block != state.blocks.end() && !block->second.keys.empty();
    append(rest.substr(0, bracket + 1));
    if (by_key)
      path += short_digest(block->second.keys[frame.index]);
    else
      append(rest.substr(bracket + 1, end - bracket - 1));
    rest = rest.substr(end + 1);
  }
  append(rest);
  return path;
}

}  // namespace

std::string short_digest(std::string_view text) {
  return sha256_hex(text).substr(0, digest_chars);
}

std::string key_of(const SagaState& state, const Located& at, Phase phase) {
  const char* const end = phase == Phase::compensate ? "-c" : "-f";
  const std::string path = joined_path(state, at);
  std::string key = state.root + "-" + path + end;
  if (key.size() > key_chars_max) key = state.root + "-" + short_digest(path) + end;
  return key;
}

SagaId child_id(const SagaState& parent, const StepPath& path, TimePoint now,
                std::uint64_t random) {
  const auto digest = sha256(parent.id.text() + "/" + path + "/" + std::to_string(random));
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    high = high << 8 | digest[i];
    low = low << 8 | digest[8 + i];
  }
  return SagaId::make(now, high, low, parent.id.shard());
}

}  // namespace backstitch::engine
