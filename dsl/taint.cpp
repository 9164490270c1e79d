#include <backstitch/dsl/taint.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/base/match.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/expression_ast.hpp>

namespace backstitch::dsl {
namespace {

/// Each round adds something, and a handler may read what any step before it has done.
constexpr int rounds_max = 1'000;

Taint all_of_it() {
  Taint taint;
  taint.whole = true;
  return taint;
}
Taint if_any(bool any) {
  return any ? all_of_it() : Taint{};
}
Taint list_of(Taint item) {
  Taint list;
  if (item.any()) list.items.push_back(std::move(item));
  return list;
}
Taint object_with(std::string name, Taint member) {
  Taint object;
  if (member.any()) object.members.emplace(std::move(name), std::move(member));
  return object;
}

Taint of_schema(const Json& schema) {
  Taint taint;
  if (!schema.is_object()) return taint;
  const auto mark = schema.find("x-sensitive");
  if (mark != schema.end() && mark->is_boolean() && mark->get<bool>()) return all_of_it();
  if (const auto properties = schema.find("properties");
      properties != schema.end() && properties->is_object()) {
    for (const auto& [name, property] : properties->items())
      if (Taint inner = of_schema(property); inner.any()) taint.members.emplace(name, inner);
  }
  for (const char* keyword : {"additionalProperties", "items"}) {
    const auto inner = schema.find(keyword);
    if (inner == schema.end()) continue;
    if (Taint item = of_schema(*inner); item.any()) {
      if (taint.items.empty())
        taint.items.push_back(std::move(item));
      else
        taint.items.front().add(item);
    }
  }
  return taint;
}

/// What names mean at a place.
struct Names {
  std::map<std::string, Taint> roots;
  const Taint* steps = nullptr;  ///< as far as the walk has come
  const Taint& find(const std::string& name) const {
    static const Taint nothing;
    if (name == "steps") return *steps;
    const auto found = roots.find(name);
    return found == roots.end() ? nothing : found->second;
  }
};

/// Of what an expression gives. A path keeps the structure of what it names; anything that is
/// computed is sensitive if anything of it is.
class Reading {
 public:
  explicit Reading(const Names& names) : names_(names) {}

  Taint of(const Node& node) {
    switch (node.kind) {
      case NodeKind::literal:
      case NodeKind::omit:
        return {};
      case NodeKind::name:
        return name(node);
      case NodeKind::member:
        return member(of(node.children[0]), node.text);
      case NodeKind::index:
        return index(node);
      case NodeKind::conditional:
        return conditional(node);
      case NodeKind::macro:
        return macro(node);
      case NodeKind::array: {
        Taint item;
        for (const Node& child : node.children) item.add(of(child));
        return list_of(std::move(item));
      }
      case NodeKind::object:
        return object(node);
      case NodeKind::binary:
        if (node.op == Operator::coalesce) return both(node.children[0], node.children[1]);
        break;
      case NodeKind::unary:
      case NodeKind::call:
        break;
    }
    return if_any(std::any_of(node.children.begin(), node.children.end(),
                              [this](const Node& child) { return of(child).any(); }));
  }

 private:
  Taint name(const Node& node) const {
    if (node.macro_variable) {
      for (auto bound = variables_.rbegin(); bound != variables_.rend(); ++bound)
        if (bound->first == node.text) return bound->second;
    }
    return names_.find(node.text);
  }

  static Taint member(const Taint& object, const std::string& name) {
    if (object.whole) return object;
    const auto found = object.members.find(name);
    if (found != object.members.end()) return found->second;
    return object.items.empty() ? Taint{} : object.items.front();
  }

  Taint index(const Node& node) {
    const Taint list = of(node.children[0]);
    if (list.whole || of(node.children[1]).any()) return all_of_it();
    const Node& key = node.children[1];
    if (key.kind == NodeKind::literal && key.literal.is_string())
      return member(list, key.literal.get<std::string>());
    return list.each();
  }

  Taint both(const Node& one, const Node& other) {
    Taint taint = of(one);
    taint.add(of(other));
    return taint;
  }

  Taint conditional(const Node& node) {
    if (of(node.children[0]).any()) return all_of_it();
    return both(node.children[1], node.children[2]);
  }

  Taint object(const Node& node) {
    Taint taint;
    for (std::size_t i = 0; i < node.children.size(); ++i)
      if (Taint inner = of(node.children[i]); inner.any())
        taint.members[node.keys[i]] = std::move(inner);
    return taint;
  }

  Taint macro(const Node& node) {
    const Taint list = of(node.children[0]);
    variables_.emplace_back(node.variable, list.each());
    const Taint body = of(node.children[1]);
    variables_.pop_back();
    if (list.whole) return list;
    if (node.text == "map") return list_of(body);
    const bool picks = node.text == "filter" || node.text == "sortBy" || node.text == "find";
    if (picks && !body.any()) return node.text == "find" ? list.each() : list;
    return if_any(body.any() || list.any());
  }

  const Names& names_;
  std::vector<std::pair<std::string, Taint>> variables_;
};

Taint taint_of(const Expression& expression, const Names& names) {
  return Reading(names).of(expression.root());
}
bool reads(const std::optional<Expression>& expression, const Names& names) {
  return expression && taint_of(*expression, names).any();
}
bool reads(const DurationField& duration, const Names& names) {
  const auto* expression = std::get_if<Expression>(&duration);
  return expression != nullptr && taint_of(*expression, names).any();
}
bool reads(const std::optional<DurationField>& duration, const Names& names) {
  return duration && reads(*duration, names);
}
bool reads(const RetrySpec& retry, const Names& names) {
  return reads(retry.delay, names) || reads(retry.delay_max, names) ||
         reads(retry.elapsed_max, names);
}
class OfTemplate {
 public:
  OfTemplate(const Template& source, const Names& names) : source_(source), names_(names) {}

  Taint all() const { return of(source_.source(), ""); }

 private:
  Taint of(const Json& part, const std::string& pointer) const {
    Taint taint;
    if (part.is_object()) {
      for (const auto& [name, member] : part.items())
        if (Taint inner = of(member, pointer + "/" + escaped_pointer(name)); inner.any())
          taint.members.emplace(name, std::move(inner));
    } else if (part.is_array()) {
      Taint item;
      for (std::size_t i = 0; i < part.size(); ++i)
        item.add(of(part[i], pointer + "/" + std::to_string(i)));
      return list_of(std::move(item));
    } else if (part.is_string()) {
      return of_text(pointer);
    }
    return taint;
  }

  Taint of_text(const std::string& pointer) const {
    bool any = false;
    for (const auto& one : source_.expressions()) {
      if (one.pointer != pointer) continue;
      Taint taint = taint_of(one.expression, names_);
      if (!one.interpolated) return taint;
      any = any || taint.any();
    }
    return if_any(any);
  }

  const Template& source_;
  const Names& names_;
};

Taint taint_of(const Template& source, const Names& names) {
  return OfTemplate(source, names).all();
}
Taint taint_of(const std::optional<Template>& source, const Names& names) {
  return source ? taint_of(*source, names) : Taint{};
}
bool reads(const std::vector<OutcomeRule>& rules, const Names& names) {
  return std::any_of(rules.begin(), rules.end(), [&](const OutcomeRule& rule) {
    return reads(rule.when, names) || reads(rule.retry_after, names) ||
           taint_of(rule.message, names).any();
  });
}

/// Walks the definition until nothing new is known.
class Flow {
 public:
  Flow(const Definition& definition, TaintMap& map) : definition_(definition), map_(map) {}

  void run() {
    for (int round = 0; round < rounds_max; ++round) {
      const auto steps = map_.steps;
      const Taint failure = map_.failure;
      walk_all();
      if (steps == map_.steps && failure == map_.failure) return;
    }
    // It never comes to this; if it did, nothing must be shown.
    for (auto& [name, step] : map_.steps) step.output.whole = step.captured.whole = true;
    map_.output.whole = true;
  }

 private:
  void walk_all() {
    const Names names = roots();
    for (const auto& label : definition_.labels)
      map_.labels[label.name] = taint_of(label.value, names).any();
    map_.business_key = map_.business_key || taint_of(definition_.business_key, names).any();
    for (const auto* steps :
         {&definition_.steps, &definition_.on_failure, &definition_.on_suspended})
      walk(*steps, roots());
    map_.output = taint_of(definition_.output, roots());
  }

  Names roots() const {
    Names names;
    names.steps = &steps_;
    names.roots["input"] = map_.input;
    Taint failure = map_.failure;
    // An expression's error quotes what it read.
    const bool tells = std::any_of(map_.steps.begin(), map_.steps.end(),
                                   [](const auto& entry) { return entry.second.reads; });
    failure.add(object_with("message", if_any(tells)));
    names.roots["failure"] = std::move(failure);
    Taint labels;
    for (const auto& [name, sensitive] : map_.labels)
      if (sensitive) labels.members[name] = all_of_it();
    Taint saga = object_with("labels", std::move(labels));
    saga.add(object_with("businessKey", if_any(map_.business_key)));
    names.roots["saga"] = std::move(saga);
    return names;
  }

  void walk(const Steps& steps, const Names& names) {
    for (const auto& step : steps) walk(step, names);
  }

  void walk(const Step& step, Names names) {
    StepTaint& taint = map_.steps[step.name];
    // What its own step has come to, in an undo and in rules.
    Taint self = object_with("output", taint.output);
    self.add(object_with("captured", taint.captured));
    names.roots["self"] = std::move(self);
    taint.reads = taint.reads || reads(step.when, names) || reads(step.timeout, names);
    std::visit(Match{[&](const Action& body) { action(taint, body, names); },
                     [&](const SubSaga& body) { child(taint, body, names); },
                     [&](const Parallel& body) {
                       for (const auto& branch : body.branches) walk(branch.steps, names);
                     },
                     [&](const Switch& body) { choice(taint, body, names); },
                     [&](const ForEach& body) { loop(taint, body, names); },
                     [&](const Try& body) { attempt(taint, body, names); },
                     [&](const Wait& body) { wait(taint, body, names); },
                     [&](const Sleep& body) {
                       taint.reads = taint.reads || taint_of(body.until, names).any() ||
                                     reads(body.duration, names);
                     },
                     [&](const Value& body) { taint.output.add(taint_of(body.value, names)); },
                     [&](const Fail& body) { fail(taint, body, names); }},
               step.body);
    if (const auto* undo = std::get_if<Compensation>(&step.undo)) {
      request(taint.undo, undo->request, names);
      taint.rules = taint.rules || reads(undo->outcomes, names);
      taint.reads = taint.reads || reads(undo->when, names) || reads(undo->retry, names) ||
                    reads(undo->attempt_timeout, names);
    }
    taint.reads = taint.reads || taint.action.any() || taint.probe.any() || taint.poll.any() ||
                  taint.undo.any() || taint.output.any() || taint.captured.any() ||
                  taint.items.any() || taint.key || taint.yield.any() || taint.child_input.any() ||
                  taint.child_business_key || taint.failure.any() || taint.rules;
    if (taint.output.any()) steps_.members[step.name] = object_with("output", taint.output);
  }

  static void request(RequestTaint& taint, const Request& request, const Names& names) {
    taint.path = taint.path || taint_of(request.path, names).any();
    for (const auto& one : request.query)
      taint.query[one.name] = taint.query[one.name] || taint_of(one.value, names).any();
    for (const auto& one : request.headers)
      taint.headers[one.name] = taint.headers[one.name] || taint_of(one.value, names).any();
    taint.body.add(taint_of(request.body, names));
  }

  static void action(StepTaint& taint, const Action& action, const Names& names) {
    request(taint.action, action.request, names);
    taint.output.add(taint_of(action.output, names));
    taint.captured.add(taint_of(action.capture, names));
    taint.rules = taint.rules || reads(action.outcomes, names);
    taint.reads = taint.reads || reads(action.retry, names) || reads(action.attempt_timeout, names);
    if (const auto& probe = action.probe) {
      request(taint.probe, probe->request, names);
      taint.output.add(taint_of(probe->output, names));
      taint.rules = taint.rules || reads(probe->outcomes, names);
      taint.reads =
          taint.reads || reads(probe->retry, names) || reads(probe->attempt_timeout, names);
    }
    if (!action.completion) return;
    taint.reads = taint.reads || reads(action.completion->timeout, names);
    if (const auto& poll = action.completion->poll) {
      request(taint.poll, poll->request, names);
      taint.rules = taint.rules || reads(poll->outcomes, names);
      taint.reads = taint.reads || reads(poll->every, names);
    }
  }

  /// What the child makes of it is not known here.
  void child(StepTaint& taint, const SubSaga& saga, const Names& names) {
    taint.child_input.add(taint_of(saga.input, names));
    taint.child_business_key = taint.child_business_key || taint_of(saga.business_key, names).any();
    if (!taint.child_input.any() && !taint.child_business_key) return;
    taint.output.whole = true;
    taint.failure.add(object_with("message", all_of_it()));
    taint.failure.add(object_with("details", all_of_it()));
    map_.failure.add(taint.failure);
  }

  void choice(StepTaint& taint, const Switch& block, const Names& names) {
    const auto one = [&](const Case& arm) {
      taint.reads = taint.reads || reads(arm.when, names);
      walk(arm.steps, names);
      taint.output.add(taint_of(arm.output, names));
    };
    for (const auto& arm : block.cases) one(arm);
    if (block.otherwise) one(*block.otherwise);
  }

  void loop(StepTaint& taint, const ForEach& block, Names names) {
    const Taint list = taint_of(block.in, names);
    taint.items.add(list);
    names.roots[block.as] = list.each();
    if (!block.index_as.empty()) names.roots[block.index_as] = {};
    taint.key = taint.key || reads(block.key, names);
    walk(block.steps, names);
    taint.yield.add(taint_of(block.yield, names));
    taint.output.add(list_of(taint.yield));
  }

  void attempt(StepTaint& taint, const Try& block, const Names& names) {
    walk(block.steps, names);
    taint.output.add(taint_of(block.output, names));
    for (const auto& one : block.catches) {
      taint.reads = taint.reads || reads(one.when, names);
      walk(one.steps, names);
      taint.output.add(taint_of(one.output, names));
    }
  }

  void wait(StepTaint& taint, const Wait& wait, const Names& names) {
    taint.reads = taint.reads || reads(wait.timeout, names) || reads(wait.accept, names);
    const Taint payload = wait.schema ? taint_of(*wait.schema) : Taint{};
    for (const auto& signal : wait.signals) map_.signals[signal].add(payload);
    taint.output.add(object_with("payload", payload));
    taint.output.add(object_with("payload", taint_of(wait.default_value, names)));
    taint.output.add(taint_of(wait.default_value, names));
  }

  void fail(StepTaint& taint, const Fail& fail, const Names& names) {
    taint.failure.add(object_with("message", if_any(taint_of(fail.message, names).any())));
    taint.failure.add(object_with("details", taint_of(fail.details, names)));
    map_.failure.add(taint.failure);
  }

  const Definition& definition_;
  TaintMap& map_;
  Taint steps_;  ///< as `steps` reads them
};

}  // namespace

Taint taint_of(const PayloadSchema& schema) {
  return of_schema(schema.source());
}

bool RequestTaint::any() const {
  const auto set = [](const auto& entry) { return entry.second; };
  return path || body.any() || std::any_of(query.begin(), query.end(), set) ||
         std::any_of(headers.begin(), headers.end(), set);
}

bool StepTaint::operator==(const StepTaint& other) const {
  const auto same = [](const RequestTaint& one, const RequestTaint& two) {
    return one.path == two.path && one.query == two.query && one.headers == two.headers &&
           one.body == two.body;
  };
  return same(action, other.action) && same(probe, other.probe) && same(poll, other.poll) &&
         same(undo, other.undo) && output == other.output && captured == other.captured &&
         items == other.items && yield == other.yield && key == other.key &&
         child_input == other.child_input && child_business_key == other.child_business_key &&
         failure == other.failure && reads == other.reads && rules == other.rules;
}

TaintMap TaintMap::of(const Definition& definition, const Taint& given) {
  TaintMap map;
  if (definition.input) map.input = taint_of(*definition.input);
  const auto part = [&](const char* name) {
    const auto found = given.members.find(name);
    return found == given.members.end() ? Taint{} : found->second;
  };
  map.input.add(part("input"));
  map.business_key = part("businessKey").any();
  Flow(definition, map).run();
  const auto set = [](const auto& entry) { return entry.second; };
  map.any = map.input.any() || map.output.any() || map.failure.any() || map.business_key ||
            std::any_of(map.labels.begin(), map.labels.end(), set) ||
            std::any_of(map.signals.begin(), map.signals.end(),
                        [](const auto& entry) { return entry.second.any(); }) ||
            std::any_of(map.steps.begin(), map.steps.end(),
                        [](const auto& entry) { return entry.second.reads; });
  return map;
}

}  // namespace backstitch::dsl
