/// What an expression may read where it stands. The block tree is walked with two sets: *must*, the
/// steps that certainly succeeded here, and *may*, those that may have. One pass, linear in the
/// definition.
#include <algorithm>
#include <map>
#include <set>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/expression_ast.hpp>

#include "../excerpt.hpp"
#include "../parse_reader.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

using Names = std::set<std::string>;

Names united(const Names& a, const Names& b) {
  Names out = a;
  out.insert(b.begin(), b.end());
  return out;
}
Names common(const Names& a, const Names& b) {
  Names out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}

struct Reach {
  Names must;
  Names may;
};

/// What a field may name besides `input`, `saga` and `steps`.
struct Field {
  std::string pointer;
  bool self = false;
  bool undo = false;  ///< self has outcome, output, captured
  bool response = false;
  bool failure = false;
  bool signal = false;
  bool callback_url = false;
  bool effect_may_be_unknown = false;
  const Names* certain = nullptr;  ///< of an undo: what was complete before its own step
};

const std::map<std::string, Names>& members() {
  static const std::map<std::string, Names> known{
      {"saga", {"id", "name", "version", "businessKey", "startedAt", "labels"}},
      {"failure", {"code", "class", "message", "step", "details"}},
      {"signal", {"payload"}},
      {"response", {"status", "headers", "body"}},
      {"steps", {"output", "status", "startedAt", "completedAt", "attempts"}}};
  return known;
}

class Availability {
 public:
  explicit Availability(const Check& check) : check_(check) {
    for_each_step(check.definition, [&](const Step& step) { names_.push_back(step.name); });
  }

  void run() {
    const Definition& definition = check_.definition;
    for (const auto& label : definition.labels) {
      templates(label.value, {.pointer = "/labels/" + escaped_pointer(label.name)}, {});
    }
    if (definition.business_key)
      templates(*definition.business_key, {.pointer = "/businessKey"}, {});
    for (const auto& use : durations_of(definition)) {
      expression(*use.source, {.pointer = use.pointer, .response = use.of_answer}, {});
    }
    for (const auto& [name, service] : definition.services)
      outcomes(service.outcomes, {.self = true, .response = true}, {});
    const Reach end = walk(definition.steps, {});
    if (definition.output) templates(*definition.output, {.pointer = "/output"}, end);
    // Handlers may run when nothing at all was done.
    Reach failed{{}, end.may};
    walk_handlers(definition.on_failure, failed);
    walk_handlers(definition.on_suspended, failed);
    unread_values();
  }

 private:
  void walk_handlers(const Steps& steps, const Reach& reach) {
    in_handler_ = true;
    walk(steps, reach);
    in_handler_ = false;
  }

  Reach walk(const Steps& steps, Reach reach) {
    for (const auto& step : steps) reach = one(step, reach);
    return reach;
  }

  Field plain(const std::string& pointer) const {
    return {.pointer = pointer, .failure = in_handler_ || catch_depth_ > 0};
  }

  Reach one(const Step& step, const Reach& before) {
    if (step.when) expression(*step.when, plain(step.pointer + "/when"), before);
    durations(step, before);
    Reach after = before;
    const bool available = std::visit(
        Match{[&](const Action& action) {
                this->action(step, action, before);
                return true;
              },
              [&](const SubSaga& saga) {
                templates(saga.input, plain(step.pointer + "/saga/input"), before);
                if (saga.business_key)
                  templates(*saga.business_key, plain(step.pointer + "/saga/businessKey"), before);
                undo(step, before);
                return true;
              },
              [&](const Parallel& block) { return parallel(block, before, after); },
              [&](const Switch& block) { return switch_block(step, block, before, after); },
              [&](const ForEach& block) {
                for_each(step, block, before);
                return true;
              },
              [&](const Try& block) { return try_block(step, block, before, after); },
              [&](const Wait& wait) {
                Field accept = plain(step.pointer + "/wait/accept");
                accept.signal = true;
                if (wait.accept) expression(*wait.accept, accept, before);
                if (wait.default_value)
                  templates(*wait.default_value, plain(step.pointer + "/wait/default"), before);
                return true;
              },
              [&](const Sleep& sleep) {
                if (sleep.until)
                  templates(*sleep.until, plain(step.pointer + "/sleep/until"), before);
                return true;
              },
              [&](const Value& value) {
                templates(value.value, plain(step.pointer + "/value"), before);
                values_.emplace(step.name, step.pointer);
                return true;
              },
              [&](const Fail& fail) {
                if (fail.message)
                  templates(*fail.message, plain(step.pointer + "/fail/message"), before);
                if (fail.details)
                  templates(*fail.details, plain(step.pointer + "/fail/details"), before);
                return false;
              }},
        step.body);
    if (step.when) {
      // Skipped perhaps: what it holds is only possible from here on.
      after.must = before.must;
    } else if (available) {
      after.must.insert(step.name);
    }
    if (available) after.may.insert(step.name);
    return after;
  }

  void action(const Step& step, const Action& action, const Reach& before) {
    Field call = plain(step.pointer + "/action");
    call.self = true;
    call.callback_url = action.completion.has_value() && action.completion->callback;
    request(action.request, call, before);
    Field answer = call;
    answer.response = true;
    answer.pointer = step.pointer + "/output";
    if (action.output) templates(*action.output, answer, before);
    answer.pointer = step.pointer + "/capture";
    if (action.capture) templates(*action.capture, answer, before);
    outcomes(action.outcomes, answer, before);
    if (action.probe) {
      Field probe = call;
      probe.pointer = step.pointer + "/probe";
      request(action.probe->request, probe, before);
      probe.response = true;
      outcomes(action.probe->outcomes, probe, before);
      probe.pointer = step.pointer + "/probe/output";
      if (action.probe->output) templates(*action.probe->output, probe, before);
    }
    if (action.completion && action.completion->poll) {
      Field poll = call;
      poll.pointer = step.pointer + "/completion/poll";
      request(action.completion->poll->request, poll, before);
      poll.response = true;
      outcomes(action.completion->poll->outcomes, poll, before);
    }
    undo(step, before);
  }

  void undo(const Step& step, const Reach& before) {
    const auto* undo = std::get_if<Compensation>(&step.undo);
    if (undo == nullptr) return;
    Field field;
    field.pointer = step.pointer + "/compensation";
    field.self = field.undo = field.failure = true;
    field.certain = &before.must;
    const auto* action = std::get_if<Action>(&step.body);
    field.effect_may_be_unknown = action != nullptr && !(action->probe && action->probe->sealed);
    request(undo->request, field, before);
    Field when = field;
    when.pointer += "/when";
    // A condition may look at self.outcome first; its reading of the output is its own business.
    when.effect_may_be_unknown = false;
    if (undo->when) expression(*undo->when, when, before);
    field.response = true;
    outcomes(undo->outcomes, field, before);
  }

  bool parallel(const Parallel& block, const Reach& before, Reach& after) {
    for (const auto& branch : block.branches) {
      const Reach end = walk(branch.steps, before);
      after.must = united(after.must, end.must);
      after.may = united(after.may, end.may);
    }
    return false;
  }

  bool switch_block(const Step& step, const Switch& block, const Reach& before, Reach& after) {
    bool first = true;
    bool outputs = true;
    Names must;
    const auto arm = [&](const Case& one, const std::string& at) {
      if (one.when) expression(*one.when, plain(at + "/when"), before);
      const Reach end = walk(one.steps, before);
      if (one.output) templates(*one.output, plain(at + "/output"), end);
      after.may = united(after.may, end.may);
      if (!can_end(one.steps)) return;
      must = first ? end.must : common(must, end.must);
      first = false;
      outputs = outputs && one.output.has_value();
    };
    for (std::size_t i = 0; i < block.cases.size(); ++i)
      arm(block.cases[i], step.pointer + "/switch/cases/" + std::to_string(i));
    if (block.otherwise) arm(*block.otherwise, step.pointer + "/switch/otherwise");
    after.must = united(before.must, must);
    return outputs && !first;
  }

  void for_each(const Step& step, const ForEach& block, const Reach& before) {
    expression(block.in, plain(step.pointer + "/forEach/in"), before);
    variables_.push_back(block.as);
    if (!block.index_as.empty()) variables_.push_back(block.index_as);
    if (block.key) expression(*block.key, plain(step.pointer + "/forEach/key"), before);
    const Reach end = walk(block.steps, before);
    if (block.yield) templates(*block.yield, plain(step.pointer + "/forEach/yield"), end);
    variables_.pop_back();
    if (!block.index_as.empty()) variables_.pop_back();
  }

  bool try_block(const Step& step, const Try& block, const Reach& before, Reach& after) {
    const Reach body = walk(block.steps, before);
    bool outputs = block.output.has_value() || !can_end(block.steps);
    if (block.output) templates(*block.output, plain(step.pointer + "/try/output"), body);
    after.may = united(after.may, body.may);
    ++catch_depth_;
    for (std::size_t i = 0; i < block.catches.size(); ++i) {
      const Catch& one = block.catches[i];
      const std::string at = step.pointer + "/try/catch/" + std::to_string(i);
      const Reach start{before.must, body.may};
      if (one.when) expression(*one.when, plain(at + "/when"), start);
      const Reach end = walk(one.steps, start);
      if (one.output) templates(*one.output, plain(at + "/output"), end);
      after.may = united(after.may, end.may);
      outputs = outputs && (one.output.has_value() || !can_end(one.steps));
    }
    --catch_depth_;
    return outputs;
  }

  void request(const Request& request, Field field, const Reach& reach) {
    const std::string base = request.pointer;
    const auto look = [&](const Template& source, const std::string& at) {
      field.pointer = base + at;
      templates(source, field, reach);
    };
    if (request.path) look(*request.path, "/http");
    for (const auto& one : request.query) look(one.value, "/query/" + escaped_pointer(one.name));
    for (const auto& one : request.headers)
      look(one.value, "/headers/" + escaped_pointer(one.name));
    if (request.body) look(*request.body, "/body");
  }

  void outcomes(const std::vector<OutcomeRule>& rules, Field field, const Reach& reach) {
    for (const auto& rule : rules) {
      field.pointer = rule.pointer + "/when";
      field.effect_may_be_unknown = false;
      if (rule.when) expression(*rule.when, field, reach);
    }
  }

  void durations(const Step& step, const Reach& reach) {
    for (const auto& use : durations_of(step)) {
      Field field = plain(use.pointer);
      field.response = use.of_answer;
      field.self = use.of_answer || use.of_undo;
      field.undo = use.of_undo;
      field.failure = field.failure || use.of_undo;
      if (use.of_undo) field.certain = &reach.must;
      expression(*use.source, field, reach);
    }
  }

  void templates(const Template& source, Field field, const Reach& reach) {
    const std::string base = field.pointer;
    for (const auto& one : source.expressions()) {
      field.pointer = base + one.pointer;
      expression(one.expression, field, reach);
    }
  }

  void expression(const Expression& expression, const Field& field, const Reach& reach) {
    const Looking looking{expression, field, reach};
    look(expression.root(), nullptr, looking);
  }

  bool is_variable(const std::string& name) const {
    return std::find(variables_.begin(), variables_.end(), name) != variables_.end();
  }

  struct Looking {
    const Expression& expression;
    const Field& field;
    const Reach& reach;
  };

  /// `parent` is the node around, when it reads a member of this one.
  void look(const Node& node, const Node* parent, const Looking& at) {
    const bool of_name = node.kind == NodeKind::member && node.children[0].kind == NodeKind::name &&
                         !node.children[0].macro_variable;
    if (of_name && node.children[0].text == "steps") return step_read(node, parent, at);
    if (of_name)
      root_read(node.children[0], &node, at);
    else if (node.kind == NodeKind::name && !node.macro_variable)
      root_read(node, nullptr, at);
    if (of_name) return;
    if (node.kind == NodeKind::macro && is_variable(node.variable)) {
      error("E105", at, "the variable `" + node.variable + "` hides the one of the loop");
    }
    for (const auto& child : node.children) {
      const bool reads_member = node.kind == NodeKind::member || node.kind == NodeKind::index;
      look(child, reads_member && &child == &node.children[0] ? &node : nullptr, at);
    }
  }

  void error(const char* code, const Looking& at, const std::string& message,
             const std::string& hint = {}) {
    check_.error(code, at.field.pointer,
                 message + " in `" + excerpt(at.expression.source(), 80) + "`", hint);
  }

  void step_read(const Node& node, const Node* parent, const Looking& at) {
    const std::string& name = node.text;
    read_.insert(name);
    if (parent != nullptr && parent->kind == NodeKind::member &&
        members().at("steps").count(parent->text) == 0) {
      error("E407", at, "a step has no member `" + parent->text + "`",
            "a step has output, status, startedAt, completedAt and attempts");
    }
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
      const std::string near = nearest(name, names_);
      return error("E404", at, "there is no step `" + name + "`",
                   near.empty() ? "" : "did you mean `" + near + "`?");
    }
    if (at.reach.may.count(name) == 0) {
      return error("E405", at, "`steps." + name + "` can never be there at this place",
                   "it comes later, in another branch or case, or inside another block");
    }
    // `steps.x` alone is null until x succeeded; only a member of it must not be read blindly.
    const bool guarded = parent == nullptr || parent->optional;
    if (at.field.certain != nullptr && at.field.certain->count(name) == 0) {
      return error(
          "E414", at,
          "an undo reads `steps." + name + "`, which is not certainly complete before its own step",
          "read `self`, the input, or a step that certainly stands before");
    }
    if (!guarded && at.reach.must.count(name) == 0) {
      error("E406", at, "`steps." + name + "` may be missing here",
            "write `steps." + name + "?.output` and `??` for its absence");
    }
  }

  void root_read(const Node& node, const Node* parent, const Looking& at) {
    const std::string& name = node.text;
    if (name == "steps")
      return error("E403", at, "`steps` is read as a whole", "name a step: steps.x.output");
    if (name == "input") return;
    if (is_variable(name)) return;
    const std::string member =
        parent != nullptr && parent->kind == NodeKind::member ? parent->text : "";
    if (name == "saga") return known_member(name, member, at);
    if (name == "self") return self_read(member, parent, at);
    const std::pair<const char*, bool> places[] = {{"response", at.field.response},
                                                   {"failure", at.field.failure},
                                                   {"signal", at.field.signal}};
    for (const auto& [known, there] : places) {
      if (name != known) continue;
      if (!there) return error("E410", at, "`" + name + "` is not available in this field");
      return known_member(name, member, at);
    }
    std::vector<std::string> names = built_in_names();
    names.insert(names.end(), variables_.begin(), variables_.end());
    const std::string near = nearest(name, names);
    error("E401", at, "unknown name `" + name + "`",
          near.empty() ? "" : "did you mean `" + near + "`?");
  }

  void known_member(const std::string& name, const std::string& member, const Looking& at) {
    if (member.empty() || members().at(name).count(member) > 0) return;
    const auto& known = members().at(name);
    const std::string near = nearest(member, {known.begin(), known.end()});
    error("E407", at, "`" + name + "` has no member `" + member + "`",
          near.empty() ? "" : "did you mean `" + near + "`?");
  }

  void self_read(const std::string& member, const Node* parent, const Looking& at) {
    if (!at.field.self) return error("E410", at, "`self` is not available in this field");
    if (member == "callbackUrl") {
      if (!at.field.callback_url)
        error("E312", at, "`self.callbackUrl` without a completion",
              "add \"completion\": {\"callback\": true, …}");
      return;
    }
    if (member == "key" || member.empty()) return;
    const bool of_undo = member == "outcome" || member == "output" || member == "captured";
    if (!of_undo) return error("E407", at, "`self` has no member `" + member + "`");
    if (!at.field.undo)
      return error("E410", at, "`self." + member + "` is only there in a compensation");
    if (member != "output" || !at.field.effect_may_be_unknown ||
        (parent != nullptr && guarded_by_outcome(at.expression.root())))
      return;
    error("E411", at, "the undo reads `self.output`, which is missing when the outcome is unknown",
          "address the undo by `self.key`, or give the step a probe with \"sealed\": true");
  }

  /// `self.outcome == … ? self.output.x : …` or `self.output?.x`: the author thought of it.
  static bool guarded_by_outcome(const Node& node) {
    const bool outcome = node.kind == NodeKind::member && node.text == "outcome";
    const bool optional = node.optional && !node.children.empty() &&
                          node.children[0].kind == NodeKind::member &&
                          node.children[0].text == "output";
    return outcome || optional ||
           std::any_of(node.children.begin(), node.children.end(),
                       [](const Node& child) { return guarded_by_outcome(child); });
  }

  void unread_values() {
    for (const auto& [name, pointer] : values_) {
      if (read_.count(name) == 0)
        check_.warning("W423", pointer, "the value `" + name + "` is computed and never read",
                       "remove it");
    }
  }

  const Check& check_;
  std::vector<std::string> names_;
  std::vector<std::string> variables_;
  std::map<std::string, std::string> values_;
  Names read_;
  bool in_handler_ = false;
  int catch_depth_ = 0;
};

}  // namespace

void check_availability(const Check& check) {
  Availability(check).run();
}

}  // namespace backstitch::dsl
