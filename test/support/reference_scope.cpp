#include <algorithm>

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

namespace {

/// No value is empty, `..`, or more than the segment it stands in.
bool has_proper_segments(const dsl::Template& path, const dsl::Scope& scope) {
  dsl::Budget budget;
  const auto text = path.render_text(scope, budget);
  if (!text) return false;
  const std::string skeleton = path.skeleton();
  if (std::count(text->begin(), text->end(), '/') !=
      std::count(skeleton.begin(), skeleton.end(), '/'))
    return false;
  return (*text + "/").find("//") == std::string::npos &&
         (*text + "/").find("/../") == std::string::npos;
}

bool renders(const std::vector<dsl::NamedTemplate>& fields, const dsl::Scope& scope) {
  return std::all_of(fields.begin(), fields.end(), [&](const auto& field) {
    dsl::Budget budget;
    return field.value.render(scope, budget).has_value();
  });
}

}  // namespace

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

bool Reference::certainly_holds(const dsl::Expression& source, const Lane& lane,
                                const Json& failure) {
  dsl::Budget budget;
  const auto value = source.evaluate_value(ReferenceScope(*this, lane, &failure, nullptr), budget);
  return value && *value == true;
}

bool Reference::can_be_sent(const Run& run) {
  const auto& action = std::get<dsl::Action>(run.step->body);
  const Json key{{"key", "k"}};
  if (!has_proper_segments(*action.request.path, ReferenceScope(*this, *run.lane, nullptr, &key)))
    return false;
  const auto* undo = std::get_if<dsl::Compensation>(&run.step->undo);
  if (undo == nullptr || (action.probe && action.probe->sealed)) return true;
  const Json self{{"key", "k"}, {"outcome", "unknown"}, {"output", nullptr}, {"captured", nullptr}};
  const Json failure = failure_of({"ANY", "failure", run.path, 0, {}});
  const ReferenceScope scope(*this, *run.lane, &failure, &self);
  dsl::Budget budget;
  if (undo->when && !undo->when->evaluate_condition(scope, budget)) return false;
  const dsl::Request& request = undo->request;
  return has_proper_segments(*request.path, scope) &&
         (!request.body || request.body->render(scope, budget).has_value()) &&
         renders(request.query, scope) && renders(request.headers, scope);
}

Json Reference::failure_of(const Fault& fault) {
  return {{"code", fault.code},
          {"class", fault.failure_class},
          {"message", ""},
          {"step", fault.step},
          {"details", nullptr}};
}

}  // namespace backstitch::test
