#include "keys.hpp"

#include <initializer_list>

#include <backstitch/base/digest.hpp>

namespace backstitch::engine {
namespace {

constexpr std::size_t digest_chars = 32;

/// Until there are several.
const std::string name_space = "default";

/// 128 bits of HMAC-SHA-256 over fields of which each says how long it is, so that no two lists of
/// fields look alike. The first one says what it is for.
std::string derived(std::string_view secret, std::initializer_list<std::string_view> fields) {
  std::string message;
  for (const auto& field : fields)
    message.append(std::to_string(field.size())).append(1, ':').append(field);
  return hex_of(hmac_sha256(secret, message), digest_chars / 2);
}

std::string_view secret_of(const Program& program) {
  return program.key_secret ? std::string_view(*program.key_secret) : std::string_view();
}

}  // namespace

/// The names on the way to the step, joined by hyphens, which no name holds. An iteration is named
/// by a digest of its key, so a list built in another order means the same, else by its index.
std::string key_path(const SagaState& state, const Located& at) {
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

std::string short_digest(std::string_view text) {
  return sha256_hex(text).substr(0, digest_chars);
}

std::string root_of_start(const Program& program, const Start& start,
                          const std::optional<std::string>& business_key) {
  const std::string_view secret = secret_of(program);
  const StartIdentity& known = start.identity;
  if (!known.parent_root.empty())
    return derived(secret, {"child", known.parent_root, known.parent_path});
  if (business_key && known.generation)
    return derived(secret, {"start", name_space, program.definition->name, "b", *business_key,
                            std::to_string(*known.generation)});
  if (!known.idempotency_key.empty())
    return derived(secret, {"start", name_space, "i", known.idempotency_key});
  return derived(secret, {"saga", start.id.text()});
}

StartIdentity identity_of_child(const dsl::Definition& definition, const SagaState& parent,
                                const StepPath& path) {
  StartIdentity identity;
  identity.parent_root = parent.root;
  identity.parent_path = key_path(parent, *locate(definition, path));
  return identity;
}

std::string public_root(std::string_view root) {
  return derived(root, {"saga.root"});
}

std::string root_of(const Program& program, const SagaState& state, std::string_view participant) {
  return derived(secret_of(program), {"participant", state.root, participant});
}

std::string callback_token(const Program& program, const SagaState& state, const Located& at) {
  return state.id.text() + "-" +
         derived(secret_of(program), {"callback", state.root, key_path(state, at)});
}

std::string participant_of(const dsl::Definition& definition, const std::string& service) {
  const auto own = definition.services.find(service);
  const bool is_registered = own != definition.services.end() && !own->second.use.empty();
  return is_registered ? own->second.use : definition.name + "/" + service;
}

std::string key_of(const Program& program, const SagaState& state, const Located& at, Phase phase,
                   std::string_view participant) {
  const char* const end = phase == Phase::compensate ? "-c" : "-f";
  const std::string path = key_path(state, at);
  const std::string root = root_of(program, state, participant) + "-";
  std::string key = root + path + end;
  if (key.size() > key_chars_max) key = root + short_digest(path) + end;
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
