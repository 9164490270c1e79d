#include "guard.hpp"

#include <utility>

namespace backstitch::examples {

KeyGuard::Known KeyGuard::look_up(std::string_view key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return {};
  return {found->second.standing, &found->second.answer};
}

void KeyGuard::remember_pending(std::string_view key, Answer answer) {
  keys_.insert_or_assign(std::string(key), Entry{Standing::pending, std::move(answer)});
}

void KeyGuard::remember(std::string_view key, Answer answer) {
  keys_.insert_or_assign(std::string(key), Entry{Standing::done, std::move(answer)});
}

void KeyGuard::remember_refusal(std::string_view key, Answer answer) {
  keys_.insert_or_assign(std::string(key), Entry{Standing::refused, std::move(answer)});
}

KeyGuard::Standing KeyGuard::close(std::string_view forward_key) {
  static const Answer too_late{409, R"({"error":"refused"})"};
  const auto [entry, is_new] =
      keys_.try_emplace(std::string(forward_key), Entry{Standing::closed, too_late});
  if (is_new) return Standing::unseen;
  entry->second.answer = too_late;
  return std::exchange(entry->second.standing, Standing::closed);
}

}  // namespace backstitch::examples
