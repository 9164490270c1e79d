#pragma once
#include <string>
#include <string_view>
#include <unordered_map>

namespace backstitch::examples {

/// An answer as it is stored under a key and given again.
struct Answer {
  unsigned status = 200;
  std::string body;
};

/// Remembers what became of each idempotency key, so that a participant keeps its promises:
/// the same key has its effect once and always the same answer; an undo may arrive before, after or
/// instead of its action and closes the key for good; undoing again changes nothing.
///
/// Threads: none of its own; the owner serialises calls, and holds its lock from `look_up` until
/// the work is done and remembered: in between, another request with the key must not slip through.
///   const auto known = guard.look_up(key);
///   if (known.standing != KeyGuard::Standing::unseen) return *known.answer;
///   guard.remember(key, do_the_work());
class KeyGuard {
 public:
  enum class Standing {
    unseen,
    pending,  ///< accepted, and decided later; its answer says so until then
    done,     ///< the effect stands
    refused,  ///< the action was refused; that answer is final
    closed    ///< undone or sealed: an action with this key comes too late
  };
  struct Known {
    Standing standing = Standing::unseen;
    const Answer* answer = nullptr;  ///< null if unseen; valid until the guard changes
  };
  Known look_up(std::string_view key) const;

  /// The action was accepted and is not decided. @pre the key was unseen
  void remember_pending(std::string_view key, Answer answer);

  /// The action was done. @pre the key was unseen or pending
  void remember(std::string_view key, Answer answer);

  /// The action was refused and never will be done. @pre the key was unseen or pending
  void remember_refusal(std::string_view key, Answer answer);

  /// Closes the key of an action for ever. Returns how it stood before: if `done`, the caller
  /// undoes the effect now, under the same lock.
  Standing close(std::string_view forward_key);

  void clear() { keys_.clear(); }

 private:
  struct Entry {
    Standing standing;
    Answer answer;
  };
  /// Lets a string_view be looked up without making a string of it.
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> keys_;
};

}  // namespace backstitch::examples
