#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/template.hpp>

#include "reference_tree.hpp"

namespace backstitch::test {

/// What is seen from a lane.
class ReferenceScope : public dsl::Scope {
 public:
  ReferenceScope(const Reference& reference, const Lane& lane, const Json* failure,
                 const Json* self)
      : reference_(reference), lane_(lane), failure_(failure), self_(self) {
    for (const Lane* at = &lane; failure_ == nullptr && at != nullptr;
         at = at->block == nullptr ? nullptr : at->block->lane) {
      if (at->failure) failure_ = &*at->failure;
    }
  }

  const Json* find(std::string_view name) const override {
    if (name == "input") return &reference_.input_;
    if (name == "saga") return &reference_.saga_;
    if (name == "failure") return failure_;
    if (name == "self") return self_;
    for (const Frame* frame = lane_.frame; frame != nullptr; frame = frame->outer) {
      if (const auto found = frame->variables.find(name); found != frame->variables.end())
        return &found->second;
    }
    return nullptr;
  }
  const Json* step(std::string_view name) const override {
    for (const Frame* frame = lane_.frame; frame != nullptr; frame = frame->outer) {
      const auto found = frame->steps.find(name);
      if (found != frame->steps.end()) return found->second->view ? &*found->second->view : nullptr;
    }
    return nullptr;
  }
  const Json* step_output(std::string_view name) const override {
    const Json* whole = step(name);
    return whole == nullptr ? nullptr : &whole->at("output");
  }

 private:
  const Reference& reference_;
  const Lane& lane_;
  const Json* failure_;
  const Json* self_;
};

Json Reference::render(const dsl::Template* source, const Lane& lane) {
  if (source == nullptr) return nullptr;
  dsl::Budget budget;
  auto value = source->render(ReferenceScope(*this, lane, nullptr, nullptr), budget);
  if (value) return std::move(*value);
  undecided_ = true;
  return nullptr;
}

Json Reference::evaluate(const dsl::Expression& source, const Lane& lane, const Json* failure,
                         const Json* self) {
  dsl::Budget budget;
  auto value = source.evaluate_value(ReferenceScope(*this, lane, failure, self), budget);
  if (value) return std::move(*value);
  undecided_ = true;
  return nullptr;
}

bool Reference::holds(const dsl::Expression& source, const Lane& lane, const Json* failure,
                      const Json* self) {
  const Json value = evaluate(source, lane, failure, self);
  if (!value.is_boolean()) undecided_ = true;
  return value == true;
}

Json Reference::failure_of(const Fault& fault) {
  return {{"code", fault.code},
          {"class", fault.failure_class},
          {"message", ""},
          {"step", fault.step},
          {"details", nullptr}};
}

}  // namespace backstitch::test
