#include "ledger_check.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace backstitch::examples {

namespace {

using ServiceKey = std::pair<std::string_view, std::string_view>;

/// What the ledger says about the key of one action.
struct KeyStory {
  const Entry* done = nullptr;    ///< first effect
  const Entry* undone = nullptr;  ///< first undo that took it back
  const Entry* shut = nullptr;    ///< first entry after which no effect may come
};

struct SagaStory {
  std::vector<std::pair<const Entry*, const Entry*>> undos;  ///< action and its undo, in undo order
  std::vector<const Entry*> undoable;
  const Entry* captured = nullptr;
};

class Judge {
 public:
  explicit Judge(const CheckRules& rules) : rules_(rules) {}

  void read(const Entry& entry) {
    switch (entry.effect) {
      case Effect::done:
      case Effect::captured:
        return on_effect(entry);
      case Effect::undone:
        return on_undone(entry);
      case Effect::noop_undo:
        return shut(key_story(entry, entry.compensates), entry);
      case Effect::closed:
        return shut(key_story(entry, entry.key), entry);
      case Effect::accepted:
      case Effect::refused:
      case Effect::probed:
      case Effect::unseen:
      case Effect::replayed:
      case Effect::notified:
        return;
    }
  }

  std::vector<Violation> verdict() && {
    for (const auto& [saga, story] : sagas_) {
      judge_completeness(story);
      if (rules_.mirror_order) judge_order(story);
      judge_pivot(story);
    }
    return std::move(violations_);
  }

 private:
  KeyStory& key_story(const Entry& entry, std::string_view key) {
    return keys_[{entry.service, key}];
  }

  static void shut(KeyStory& story, const Entry& entry) {
    if (story.shut == nullptr) story.shut = &entry;
  }

  void on_effect(const Entry& entry) {
    KeyStory& story = key_story(entry, entry.key);
    if (story.shut != nullptr) {
      report("I5", "effect-after-undo", "took effect after its key was closed",
             {story.shut, &entry});
    }
    if (story.done != nullptr) {
      report("I3", "two-effects-for-one-key", "took effect twice under one key",
             {story.done, &entry});
      return;
    }
    story.done = &entry;
    if (!entry.saga.empty()) on_saga_effect(entry);
  }

  void on_saga_effect(const Entry& entry) {
    const auto [first, is_new] = steps_.try_emplace(
        std::tuple{std::string_view(entry.service), std::string_view(entry.saga),
                   std::string_view(entry.step), std::string_view(entry.subject)},
        &entry);
    if (!is_new && !entry.step.empty()) {
      report("I3", "two-effects-for-one-step", "took effect twice under different keys",
             {first->second, &entry});
    }
    SagaStory& saga = sagas_[entry.saga];
    if (entry.effect == Effect::captured) {
      saga.captured = &entry;
    } else if (entry.undoable) {
      saga.undoable.push_back(&entry);
    }
  }

  void on_undone(const Entry& entry) {
    KeyStory& story = key_story(entry, entry.compensates);
    if (story.undone != nullptr) {
      report("I3", "undone-twice", "was undone twice", {story.undone, &entry});
      return;
    }
    if (story.done == nullptr) {
      report("I4", "undone-without-effect", "was undone but never done", {&entry});
    }
    story.undone = &entry;
    shut(story, entry);
    if (!entry.saga.empty()) sagas_[entry.saga].undos.emplace_back(story.done, &entry);
  }

  void judge_completeness(const SagaStory& saga) {
    const auto cause = std::find_if(saga.undos.begin(), saga.undos.end(), [this](const auto& undo) {
      return !is_in_save_point(*undo.second);
    });
    if (cause == saga.undos.end()) return;
    for (const Entry* action : saga.undoable) {
      if (keys_[{action->service, action->key}].undone == nullptr) {
        report("I4", "partly-undone", "still stands although other effects of its saga were undone",
               {cause->second, action});
      }
    }
  }

  bool is_in_save_point(const Entry& entry) const {
    return std::find(rules_.save_point.begin(), rules_.save_point.end(), entry.service) !=
           rules_.save_point.end();
  }

  void judge_order(const SagaStory& saga) {
    const std::pair<const Entry*, const Entry*>* before = nullptr;
    for (const auto& undo : saga.undos) {
      if (undo.first == nullptr) continue;
      if (before != nullptr && undo.first->seq > before->first->seq) {
        report("I4", "undone-out-of-order", "was undone after an effect that is older than it",
               {before->second, undo.second});
      }
      before = &undo;
    }
  }

  void judge_pivot(const SagaStory& saga) {
    if (saga.captured == nullptr) return;
    for (const auto& [action, undo] : saga.undos) {
      if (undo->seq > saga.captured->seq) {
        report("I9", "undone-after-capture", "was undone after the money was taken",
               {saga.captured, undo});
      } else if (!is_in_save_point(*undo)) {
        report("I9", "captured-after-undo", "took the money although the saga was being undone",
               {undo, saga.captured});
      }
    }
  }

  /// The last entry is the one that broke the promise.
  void report(std::string promise, std::string code, std::string_view what,
              std::vector<const Entry*> shown) {
    const Entry& last = *shown.back();
    Violation violation{std::move(promise), std::move(code), last.saga, {}, {}};
    violation.message = last.service + " step '" + last.step + "' key '" +
                        (last.compensates.empty() ? last.key : last.compensates) + "' ";
    violation.message += what;
    for (const Entry* entry : shown) violation.entries.push_back(entry->seq);
    violations_.push_back(std::move(violation));
  }

  const CheckRules& rules_;
  std::map<ServiceKey, KeyStory> keys_;
  std::map<std::tuple<std::string_view, std::string_view, std::string_view, std::string_view>,
           const Entry*>
      steps_;  ///< the subject tells the rounds of a loop apart
  std::map<std::string_view, SagaStory> sagas_;
  std::vector<Violation> violations_;
};

}  // namespace

std::vector<Violation> check(const std::vector<Entry>& entries, const CheckRules& rules) {
  Judge judge(rules);
  for (const Entry& entry : entries) judge.read(entry);
  return std::move(judge).verdict();
}

}  // namespace backstitch::examples
