#include "reading.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/expression_ast.hpp>

namespace backstitch::engine::explore {
namespace {

using dsl::Node;
using dsl::NodeKind;
using dsl::Operator;

/// What an expression gives, as far as it comes from outside: all the shapes it may be a value of,
/// and the members of what the definition builds itself.
struct Origin {
  std::vector<Shape*> shapes;
  std::map<std::string, Origin> members;
  std::shared_ptr<Origin> items;

  void add(const Origin& other) {
    shapes.insert(shapes.end(), other.shapes.begin(), other.shapes.end());
    for (const auto& [name, member] : other.members) members[name].add(member);
    if (!other.items) return;
    if (!items) items = std::make_shared<Origin>();
    items->add(*other.items);
  }
  void mark(bool Shape::*what) const {
    for (auto* shape : shapes) shape->*what = true;
  }
};

using Names = std::map<std::string, Origin>;

class Reader {
 public:
  explicit Reader(Readings& out) : out_(out) {}

  void definition(const dsl::Definition& definition) {
    names_["input"] = {{&out_.input}, {}, nullptr};
    names_["failure"] = {{&failure_}, {}, nullptr};
    if (definition.business_key) text(*definition.business_key);
    for (const auto& label : definition.labels) text(label.value);
    duration(definition.timeout);
    for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
      list(*steps);
    if (definition.output) value(*definition.output);
    const auto code = failure_.members.find("code");
    if (code == failure_.members.end()) return;
    for (const auto& constant : code->second.compared) {
      if (constant.is_string()) out_.codes.insert(constant.get<std::string>());
    }
  }
  bool failure_details_read() const {
    return failure_.members.count("details") > 0 || failure_.members.count("message") > 0;
  }

 private:
  void list(const dsl::Steps& steps) {
    for (const auto& step : steps) {
      if (step.when) condition(*step.when);
      if (step.timeout) duration(*step.timeout);
      Origin output = std::visit(Match{[&](const dsl::Action& body) { return action(step, body); },
                                       [&](const dsl::SubSaga& body) { return child(step, body); },
                                       [&](const dsl::Parallel& body) {
                                         for (const auto& branch : body.branches)
                                           list(branch.steps);
                                         return Origin{};
                                       },
                                       [&](const dsl::Switch& body) { return one_of(body); },
                                       [&](const dsl::ForEach& body) { return for_each(body); },
                                       [&](const dsl::Try& body) { return attempt(body); },
                                       [&](const dsl::Wait& body) { return wait(step, body); },
                                       [&](const dsl::Sleep& body) {
                                         if (body.duration) duration(*body.duration);
                                         if (body.until) value(*body.until).mark(&Shape::time);
                                         if (body.until) mark_parts(*body.until, &Shape::time);
                                         return Origin{};
                                       },
                                       [&](const dsl::Value& body) { return value(body.value); },
                                       [&](const dsl::Fail& body) {
                                         if (body.message) text(*body.message);
                                         if (body.details) value(*body.details);
                                         return Origin{};
                                       }},
                                 step.body);
      outputs_[step.name] = std::move(output);
      undo(step);
    }
  }

  Origin action(const dsl::Step& step, const dsl::Action& action) {
    Shape& body = out_.answers[step.name];
    request(action.request);
    if (action.attempt_timeout) duration(*action.attempt_timeout);
    retry(action.retry);
    const Names outer = names_;
    names_["response"] = response_of({&body});
    rules(action.outcomes);
    // What a probe finds becomes the output as the action's own answer does, unless it says how.
    std::vector<Shape*> bodies{&body};
    if (action.probe && !action.probe->output) bodies.push_back(&out_.probed[step.name]);
    names_["response"] = response_of(bodies);
    Origin output = action.output ? value(*action.output) : Origin{bodies, {}, nullptr};
    captured_ = action.capture ? value(*action.capture) : Origin{};
    if (action.probe) {
      request(action.probe->request);
      names_["response"] = response_of({&out_.probed[step.name]});
      rules(action.probe->outcomes);
      retry(action.probe->retry);
      if (action.probe->output) output.add(value(*action.probe->output));
      names_["response"] = response_of({&body});
    }
    if (action.completion) {
      duration(action.completion->timeout);
      if (action.completion->poll) {
        request(action.completion->poll->request);
        rules(action.completion->poll->outcomes);
        duration(action.completion->poll->every);
      }
    }
    names_ = outer;
    return output;
  }

  void undo(const dsl::Step& step) {
    const auto* undo = std::get_if<dsl::Compensation>(&step.undo);
    if (undo == nullptr) return;
    const Names outer = names_;
    names_["self"].members["output"] = outputs_[step.name];
    names_["self"].members["captured"] = captured_;
    if (undo->when) condition(*undo->when);
    request(undo->request);
    retry(undo->retry);
    names_["response"] = response_of({&out_.undone[step.name]});
    rules(undo->outcomes);
    names_ = outer;
  }

  Origin child(const dsl::Step& step, const dsl::SubSaga& saga) {
    value(saga.input);
    if (saga.business_key) text(*saga.business_key);
    return {{&out_.children[step.name]}, {}, nullptr};
  }

  Origin one_of(const dsl::Switch& block) {
    Origin output;
    const auto arm = [&](const dsl::Case& one) {
      list(one.steps);
      if (one.output) output.add(value(*one.output));
    };
    for (const auto& one : block.cases) condition(*one.when);
    for (const auto& one : block.cases) arm(one);
    if (block.otherwise) arm(*block.otherwise);
    return output;
  }

  Origin for_each(const dsl::ForEach& block) {
    const Names outer = names_;
    names_[block.as] = items_of(expression(block.in), &Shape::looped);
    if (!block.index_as.empty()) names_[block.index_as] = {};
    if (block.key) expression(*block.key);
    list(block.steps);
    Origin output;
    if (block.yield) output.items = std::make_shared<Origin>(value(*block.yield));
    names_ = outer;
    return output;
  }

  Origin attempt(const dsl::Try& block) {
    list(block.steps);
    Origin output = block.output ? value(*block.output) : Origin{};
    for (const auto& one : block.catches) {
      out_.codes.insert(one.codes.begin(), one.codes.end());
      if (one.when) condition(*one.when);
      list(one.steps);
      if (one.output) output.add(value(*one.output));
    }
    return output;
  }

  Origin wait(const dsl::Step& step, const dsl::Wait& wait) {
    Shape& payload = out_.signals[step.name];
    duration(wait.timeout);
    const Origin from{{&payload}, {}, nullptr};
    if (wait.accept) {
      const Names outer = names_;
      names_["signal"].members["payload"] = from;
      condition(*wait.accept);
      names_ = outer;
    }
    Origin output;
    output.members["payload"] = from;
    if (wait.default_value) output.members["payload"].add(value(*wait.default_value));
    return output;
  }

  static Origin response_of(std::vector<Shape*> bodies) {
    Origin response;
    response.members["body"] = {std::move(bodies), {}, nullptr};
    return response;
  }

  void rules(const std::vector<dsl::OutcomeRule>& rules) {
    for (const auto& rule : rules) {
      if (rule.when) condition(*rule.when);
    }
  }

  void request(const dsl::Request& request) {
    if (request.path) text(*request.path);
    for (const auto* list : {&request.query, &request.headers}) {
      for (const auto& one : *list) value(one.value);
    }
    if (request.body) value(*request.body);
  }

  void retry(const dsl::RetrySpec& retry) {
    for (const auto* field : {&retry.delay, &retry.delay_max, &retry.elapsed_max}) {
      if (*field) duration(**field);
    }
  }

  void duration(const dsl::DurationField& field) {
    if (const auto* source = std::get_if<dsl::Expression>(&field))
      expression(*source).mark(&Shape::duration);
  }
  void condition(const dsl::Expression& source) { expression(source).mark(&Shape::boolean); }
  Origin expression(const dsl::Expression& source) { return node(source.root()); }
  void text(const dsl::Template& source) { mark_parts(source, &Shape::text); }
  void mark_parts(const dsl::Template& source, bool Shape::*what) {
    for (const auto& part : source.expressions()) expression(part.expression).mark(what);
  }

  /// The origin of a template: its objects and arrays as they are built, expressions in place.
  Origin value(const dsl::Template& source) {
    Origin whole;
    for (const auto& part : source.expressions()) {
      Origin origin = expression(part.expression);
      if (part.interpolated)
        origin.mark(&Shape::text);
      else
        place(whole, source.source(), part.pointer, std::move(origin));
    }
    return whole;
  }

  static void place(Origin& whole, const Json& source, const std::string& pointer, Origin origin) {
    Origin* at = &whole;
    const Json* json = &source;
    Json::json_pointer rest(pointer);
    std::vector<std::string> names;
    for (; !rest.empty(); rest.pop_back()) names.insert(names.begin(), rest.back());
    for (const auto& name : names) {
      if (json->is_array()) {
        if (!at->items) at->items = std::make_shared<Origin>();
        at = at->items.get();
        json = &(*json)[static_cast<std::size_t>(std::stoul(name))];
      } else {
        at = &at->members[name];
        json = &(*json)[name];
      }
    }
    at->add(origin);
  }

  Origin node(const Node& node) {
    switch (node.kind) {
      case NodeKind::literal:
      case NodeKind::omit:
        return {};
      case NodeKind::name: {
        out_.failure_read = out_.failure_read || (node.text == "failure" && !node.macro_variable);
        const auto found = names_.find(node.text);
        return found == names_.end() ? Origin{} : found->second;
      }
      case NodeKind::member:
        return member(node);
      case NodeKind::index:
        return index(node);
      case NodeKind::unary: {
        const Origin operand = this->node(node.children[0]);
        operand.mark(node.op == Operator::logical_not ? &Shape::boolean : &Shape::number);
        return {};
      }
      case NodeKind::binary:
        return binary(node);
      case NodeKind::conditional: {
        this->node(node.children[0]).mark(&Shape::boolean);
        Origin either = this->node(node.children[1]);
        either.add(this->node(node.children[2]));
        return either;
      }
      case NodeKind::call:
        return call(node);
      case NodeKind::macro:
        return macro(node);
      case NodeKind::array: {
        Origin list;
        list.items = std::make_shared<Origin>();
        for (const auto& item : node.children) list.items->add(this->node(item));
        return list;
      }
      case NodeKind::object: {
        Origin object;
        for (std::size_t i = 0; i < node.children.size(); ++i)
          object.members[node.keys[i]].add(this->node(node.children[i]));
        return object;
      }
    }
    return {};
  }

  Origin member(const Node& node) {
    const Node& of = node.children[0];
    if (of.kind == NodeKind::name && of.text == "steps" && !of.macro_variable) {
      Origin step;
      step.members["output"] = outputs_[node.text];
      return step;
    }
    const Origin base = this->node(of);
    return member_of(base, node.text, node.optional);
  }

  static Origin member_of(const Origin& base, const std::string& name, bool optional) {
    Origin result;
    for (auto* shape : base.shapes) {
      Shape& inner = shape->member(name);
      inner.may_miss = inner.may_miss || optional;
      result.shapes.push_back(&inner);
    }
    if (const auto found = base.members.find(name); found != base.members.end())
      result.add(found->second);
    return result;
  }

  static Origin items_of(const Origin& base, bool Shape::*how) {
    base.mark(how);
    Origin result;
    for (auto* shape : base.shapes) result.shapes.push_back(&shape->item());
    if (base.items) result.add(*base.items);
    return result;
  }

  Origin index(const Node& node) {
    const Origin base = this->node(node.children[0]);
    const Node& at = node.children[1];
    if (at.kind == NodeKind::literal && at.literal.is_string())
      return member_of(base, at.literal.get<std::string>(), node.optional);
    this->node(at);
    return items_of(base, &Shape::list);
  }

  Origin binary(const Node& node) {
    const Node& left = node.children[0];
    const Node& right = node.children[1];
    Origin a = this->node(left);
    Origin b = this->node(right);
    switch (node.op) {
      case Operator::coalesce:
        hint(a, right);
        a.add(b);
        return a;
      case Operator::logical_or:
      case Operator::logical_and:
        a.mark(&Shape::boolean);
        b.mark(&Shape::boolean);
        return {};
      case Operator::less:
      case Operator::less_equal:
      case Operator::greater:
      case Operator::greater_equal:
        a.mark(&Shape::ordered);
        b.mark(&Shape::ordered);
        number_unless_text(a, right);
        number_unless_text(b, left);
        [[fallthrough]];
      case Operator::equal:
      case Operator::not_equal:
        compared(a, right);
        compared(b, left);
        return {};
      case Operator::in:
        if (right.kind == NodeKind::array) {
          for (const auto& item : right.children) compared(a, item);
        } else {
          b.mark(&Shape::list);
        }
        return {};
      case Operator::add:
        number_unless_text(a, right);
        number_unless_text(b, left);
        return {};
      case Operator::divide:
      case Operator::remainder:
        b.mark(&Shape::divisor);
        [[fallthrough]];
      case Operator::subtract:
      case Operator::multiply:
        a.mark(&Shape::number);
        b.mark(&Shape::number);
        return {};
      case Operator::none:
      case Operator::logical_not:
      case Operator::negate:
        return {};
    }
    return {};
  }

  static void compared(const Origin& origin, const Node& other) {
    if (other.kind != NodeKind::literal || other.literal.is_null()) return;
    for (auto* shape : origin.shapes) shape->compared.insert(other.literal);
  }
  static void number_unless_text(const Origin& origin, const Node& other) {
    const bool text = other.kind == NodeKind::literal && other.literal.is_string();
    origin.mark(text ? &Shape::text : &Shape::number);
  }
  /// `x ?? 0`: what stands for x when it is missing is of its type.
  static void hint(const Origin& origin, const Node& other) {
    if (other.kind == NodeKind::array) origin.mark(&Shape::list);
    if (other.kind != NodeKind::literal) return;
    if (other.literal.is_number()) origin.mark(&Shape::number);
    if (other.literal.is_string()) origin.mark(&Shape::text);
    if (other.literal.is_boolean()) origin.mark(&Shape::boolean);
  }

  Origin call(const Node& node) {
    const auto& library = dsl::function_library();
    const auto known = std::find_if(library.begin(), library.end(),
                                    [&](const auto& one) { return one.name == node.text; });
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const Origin argument = this->node(node.children[i]);
      if (known == library.end() || known->arguments.empty()) continue;
      const std::string& type = known->arguments[std::min(i, known->arguments.size() - 1)];
      if (type.find("array") != std::string::npos)
        argument.mark(&Shape::list);
      else if (type == "number" || type == "integer")
        argument.mark(&Shape::number);
      else if (type == "string")
        argument.mark(&Shape::text);
      else if (type == "boolean")
        argument.mark(&Shape::boolean);
      if (node.text == "div" && i == 1) argument.mark(&Shape::divisor);
      if (node.text.starts_with("date")) argument.mark(&Shape::time);
    }
    return {};
  }

  Origin macro(const Node& node) {
    const Origin source = this->node(node.children[0]);
    const Origin item = items_of(source, &Shape::list);
    const Names outer = names_;
    names_[node.variable] = item;
    Origin body = this->node(node.children[1]);
    names_ = outer;
    const std::string& name = node.text;
    if (name == "sum") body.mark(&Shape::number);
    if (name == "filter" || name == "find" || name == "all" || name == "any")
      body.mark(&Shape::boolean);
    Origin result;
    if (name == "find") return item;
    if (name == "filter" || name == "sortBy") result.items = std::make_shared<Origin>(item);
    if (name == "map") result.items = std::make_shared<Origin>(body);
    if (name == "flatMap") result.items = std::make_shared<Origin>(items_of(body, &Shape::list));
    return result;
  }

  Readings& out_;
  Shape failure_;
  Names names_;
  std::map<std::string, Origin> outputs_;
  Origin captured_;
};

}  // namespace

Readings read(const dsl::Definition& definition) {
  Readings readings;
  Reader reader(readings);
  reader.definition(definition);
  readings.details_read = reader.failure_details_read();
  return readings;
}

}  // namespace backstitch::engine::explore
