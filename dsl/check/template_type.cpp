#include "template_type.hpp"

#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_pointer.hpp>

namespace backstitch::dsl {
namespace {

class Walk {
 public:
  Walk(const Template& source, Origin origin,
       const std::function<Type(const TemplateExpression&)>& part)
      : expressions_(source.expressions()), origin_(origin), part_(part) {}

  Type of(const Json& value) {
    if (value.is_string()) return text();
    const std::size_t outer = pointer_.size();
    if (value.is_object()) {
      std::map<std::string, Type> members;
      for (const auto& [name, member] : value.items()) {
        pointer_ += "/" + escaped_pointer(name);
        members.emplace(name, of(member));
        pointer_.resize(outer);
      }
      return object_of(std::move(members), origin_);
    }
    if (!value.is_array()) return of_kinds(kind_of(value));
    std::optional<Type> item;
    for (std::size_t i = 0; i < value.size(); ++i) {
      pointer_ += "/" + std::to_string(i);
      const Type one = of(value[i]);
      item = item ? either(*item, one) : one;
      pointer_.resize(outer);
    }
    return array_of(item.value_or(Type{}));
  }

 private:
  /// The expressions come in the same order as the texts that hold them.
  Type text() {
    Type whole = of_kinds(string_kind);
    while (next_ < expressions_.size() && expressions_[next_].pointer == pointer_) {
      const TemplateExpression& one = expressions_[next_++];
      Type type = part_(one);
      if (!one.interpolated) return type;
      whole.sensitive = whole.sensitive || type.sensitive;
    }
    return whole;
  }

  const std::vector<TemplateExpression>& expressions_;
  Origin origin_;
  const std::function<Type(const TemplateExpression&)>& part_;
  std::string pointer_;
  std::size_t next_ = 0;
};

}  // namespace

Type type_of(const Template& source, Origin origin,
             const std::function<Type(const TemplateExpression&)>& part) {
  return Walk(source, origin, part).of(source.source());
}

}  // namespace backstitch::dsl
