#pragma once
/// What is known of the sagas that this one calls. Private to dsl/check.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <backstitch/dsl/check.hpp>

namespace backstitch::dsl {

/// Looks each child up once, and derives its kind once.
class Children {
 public:
  explicit Children(const CheckContext& context) : context_(context) {}

  /// Whether other definitions can be asked for at all.
  bool are_known() const { return static_cast<bool>(context_.definition); }
  bool are_all_known() const { return are_known() && context_.knows_every_definition; }
  /// nullptr: not known.
  const Definition* find(const SubSaga& saga) const { return child(saga).definition.get(); }
  /// A pivot inside makes it a pivot, else a compensatable step compensatable, and so on. Nothing:
  /// not known.
  std::optional<StepKind> kind_of(const SubSaga& saga) const;
  /// The name of the child's pivot; empty: it has none, or is not known.
  std::string pivot_of(const SubSaga& saga) const;

 private:
  struct Child {
    std::shared_ptr<const Definition> definition;
    std::optional<StepKind> kind;
    bool derived = false;  ///< `kind` is final, or being derived further out
  };
  Child& child(const SubSaga& saga) const;
  std::optional<StepKind> derive(const Definition& definition) const;

  const CheckContext& context_;
  mutable std::map<std::pair<std::string, std::int64_t>, Child> children_;
};

}  // namespace backstitch::dsl
