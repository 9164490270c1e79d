/// Sub-sagas: do they exist, what kind of step do they make, do they go round in a circle.
#include "children.hpp"

#include <algorithm>
#include <vector>

#include "walk.hpp"

namespace backstitch::dsl {

Children::Child& Children::child(const SubSaga& saga) const {
  const auto [found, added] = children_.try_emplace({saga.name, saga.version.value_or(0)});
  if (added && context_.definition && !saga.name.empty())
    found->second.definition = context_.definition(saga.name, saga.version.value_or(0));
  return found->second;
}

std::optional<StepKind> Children::kind_of(const SubSaga& saga) const {
  Child& one = child(saga);
  if (one.derived || !one.definition) return one.kind;
  one.derived = true;
  one.kind = derive(*one.definition);
  return one.kind;
}

std::optional<StepKind> Children::derive(const Definition& definition) const {
  bool unknown = false;
  std::vector<StepKind> kinds;
  for_each_step(definition.steps, [&](const Step& inner) {
    if (!is_call(inner)) return;
    const auto* saga = std::get_if<SubSaga>(&inner.body);
    const auto kind =
        saga == nullptr || inner.kind_stated ? std::optional(inner.kind) : kind_of(*saga);
    unknown = unknown || !kind;
    if (kind) kinds.push_back(*kind);
  });
  for (const StepKind kind : {StepKind::pivot, StepKind::compensatable, StepKind::retryable}) {
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) return kind;
    if (unknown) return std::nullopt;  // it might be of this kind
  }
  return StepKind::readonly;
}

std::string Children::pivot_of(const SubSaga& saga) const {
  const Definition* definition = find(saga);
  std::string name;
  if (definition == nullptr) return name;
  for_each_step(definition->steps, [&](const Step& inner) {
    const auto* child = std::get_if<SubSaga>(&inner.body);
    const auto kind =
        child == nullptr || inner.kind_stated ? std::optional(inner.kind) : kind_of(*child);
    if (name.empty() && is_call(inner) && kind == StepKind::pivot) name = inner.name;
  });
  return name;
}

namespace {

constexpr std::size_t saga_nesting_max = 8;

class SubSagas {
 public:
  explicit SubSagas(const Check& check) : check_(check) {}

  void run() {
    for_each_step(check_.definition, [&](const Step& step) {
      if (const auto* saga = std::get_if<SubSaga>(&step.body)) one(step, *saga);
    });
  }

 private:
  /// A saga under way: a version that is not known may be any.
  struct Name {
    std::string name;
    std::int64_t version = 0;
    bool may_be(const Name& other) const {
      return name == other.name && (version == other.version || version == 0 || other.version == 0);
    }
  };

  void one(const Step& step, const SubSaga& saga) {
    if (saga.name.empty()) return;
    const std::string at = step.pointer + "/saga";
    path_.assign(1, {check_.definition.name, check_.definition.version});
    if (!follow(saga, at + "/name")) return;
    if (!check_.children.are_known()) return;
    if (check_.children.find(saga) == nullptr) {
      if (check_.children.are_all_known()) not_found(saga, at);
      return;
    }
    kind(step, saga);
  }

  void not_found(const SubSaga& saga, const std::string& at) {
    SubSaga active = saga;
    active.version.reset();
    if (saga.version && check_.children.find(active) != nullptr) {
      return check_.error(
          "E404", at + "/version",
          "there is no version " + std::to_string(*saga.version) + " of `" + saga.name + "`",
          "register it, or name one that is there");
    }
    check_.error("E404", at + "/name", "there is no saga `" + saga.name + "`", "register it first");
  }

  void kind(const Step& step, const SubSaga& saga) {
    const auto derived = check_.children.kind_of(saga);
    if (step.kind_stated && derived && *derived != step.kind) {
      check_.error("E210", step.pointer + "/kind",
                   "`" + step.name + "` is stated as " + to_text(step.kind) +
                       "; its child makes it " + to_text(*derived),
                   "leave `kind` out");
    }
    if (std::holds_alternative<AutoCompensation>(step.undo) && derived == StepKind::pivot) {
      check_.error("E211", step.pointer + "/compensation",
                   "the child of `" + step.name + "` has a pivot and cannot be undone by itself",
                   "leave the compensation out");
    }
  }

  /// Depth first over the children. A child that was seen at the same depth or deeper has nothing
  /// new to say: without that, children that share children would be walked once for each way to
  /// them. @return false if something is wrong
  bool follow(const SubSaga& saga, const std::string& at) {
    const Definition* child = check_.children.find(saga);
    Name name{saga.name, saga.version.value_or(0)};
    // The version is fixed when the caller is registered; who calls itself means itself.
    if (child != nullptr && name.name != check_.definition.name) name.version = child->version;
    const auto again = std::find_if(path_.begin(), path_.end(),
                                    [&](const Name& outer) { return outer.may_be(name); });
    if (again != path_.end()) {
      std::string chain;
      for (auto outer = again; outer != path_.end(); ++outer) chain += outer->name + " → ";
      check_.error("E107", at, "sub-sagas go round in a circle: " + chain + saga.name,
                   "break the circle, or name a version that does not call back");
      return false;
    }
    if (path_.size() > saga_nesting_max) {
      check_.error("E107", at,
                   "sub-sagas are nested deeper than " + std::to_string(saga_nesting_max),
                   "call the inner ones from further out");
      return false;
    }
    std::size_t& deepest = seen_[{name.name, name.version}];
    if (child == nullptr || deepest >= path_.size()) return true;
    deepest = path_.size();
    path_.push_back(name);
    bool sound = true;
    for_each_step(*child, [&](const Step& inner) {
      const auto* next = std::get_if<SubSaga>(&inner.body);
      if (sound && next != nullptr) sound = follow(*next, at);
    });
    path_.pop_back();
    if (!sound) deepest = 0;  // so that who else calls it is told too
    return sound;
  }

  const Check& check_;
  std::vector<Name> path_;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> seen_;  ///< how deep, from 1
};

}  // namespace

void check_children(const Check& check) {
  SubSagas(check).run();
}

}  // namespace backstitch::dsl
