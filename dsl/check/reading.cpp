/// Walks the block tree with what is there at each place: the steps that have succeeded, certainly
/// or maybe, the variables of loops, and the types of all of them. One pass, linear in the
/// definition.
#include "reading.hpp"

#include <algorithm>
#include <utility>

#include <backstitch/base/match.hpp>

namespace backstitch::dsl {
namespace {

bool is_member(std::string_view pointer, std::string_view owner, std::string_view member) {
  return pointer.size() == owner.size() + member.size() && pointer.starts_with(owner) &&
         pointer.ends_with(member);
}

class Reading {
 public:
  explicit Reading(const Check& check)
      : check_(check), around_(check.definition), fields_(check, schemas_, around_) {}

  void run() {
    const Definition& definition = check_.definition;
    for (const auto& field : fields_of(definition)) fields_.read(field, roots(field.sees, {}));
    walk(definition.steps);
    if (definition.output) read(*definition.output, "/output");
    // Handlers may run when nothing at all was done.
    around_.reach.weaken(0);
    sees_.failure = true;
    for (const auto* handlers : {&definition.on_failure, &definition.on_suspended}) {
      const auto mark = around_.reach.mark();
      walk(*handlers);
      around_.reach.take_back(mark);
    }
    unread_values();
  }

 private:
  using Level = Reach::Level;
  using Added = std::vector<Reach::Added>;

  /// What a step makes readable; nothing: the steps inside have to be read.
  using Output = std::optional<Type>;

  void walk(const Steps& steps) {
    for (const auto& step : steps) one(step);
  }

  void one(const Step& step) {
    const auto mark = around_.reach.mark();
    const std::size_t number = around_.number_of(step.name);
    Own own = read_fields(step);
    Output output = std::visit(
        Match{[&](const Action& action) -> Output { return answer_of(action, own, number); },
              [&](const SubSaga& saga) -> Output {
                check_child_input(check_, schemas_, step, own.input);
                return child_output(check_, saga);
              },
              [&](const Parallel& block) -> Output { return parallel(block); },
              [&](const Switch& block) -> Output { return switch_block(step, block); },
              [&](const ForEach& block) -> Output { return for_each(step, block, own.list); },
              [&](const Try& block) -> Output { return try_block(step, block); },
              [&](const Wait& wait) -> Output { return signal_of(wait); },
              [&](const Sleep&) -> Output { return of_kinds(null_kind); },
              [&](const Value&) -> Output { return own.value; },
              [&](const Fail&) -> Output { return std::nullopt; }},
        step.body);
    // Skipped perhaps: what it holds is only possible from here on.
    if (step.when) around_.reach.weaken(mark);
    if (!output) around_.without_output.insert(&step);
    if (!output || number == Surroundings::nowhere) return;
    if (check_.unread.below(step.pointer)) output = Type{};
    around_.steps[number] = step_type(*output);
    around_.reach.add({number, step.when ? Level::maybe : Level::certain});
  }

  /// Types of a step's own fields that others depend on.
  struct Own {
    Type output, probe_output, captured, input, list, value;
  };

  Own read_fields(const Step& step) {
    Own own;
    const std::pair<const char*, Type*> kept[] = {
        {"/output", &own.output},    {"/probe/output", &own.probe_output},
        {"/capture", &own.captured}, {"/saga/input", &own.input},
        {"/forEach/in", &own.list},  {"/value", &own.value}};
    const auto* action = std::get_if<Action>(&step.body);
    if (action != nullptr && !action->capture) own.captured = of_kinds(null_kind);
    const auto* wait = std::get_if<Wait>(&step.body);
    for (const auto& field : fields_of(step, sees_, check_)) {
      Roots roots = this->roots(field.sees, own);
      if (wait != nullptr && wait->schema && field.sees.signal)
        roots.signal = object_of({{"payload", payload_of(*wait)}});
      const Type type = fields_.read(field, roots);
      for (const auto& [name, target] : kept) {
        if (is_member(field.pointer, step.pointer, name)) *target = type;
      }
    }
    return own;
  }

  Roots roots(const Sees& sees, const Own& own) const {
    Roots roots;
    if (sees.response) roots.response = response_type();
    if (sees.failure) roots.failure = failure_type();
    if (sees.signal) roots.signal = object_of({{"payload", {}}});
    if (!sees.self) return roots;
    std::map<std::string, Type> self{{"key", of_kinds(string_kind)},
                                     {"callbackUrl", of_kinds(string_kind)},
                                     {"outcome", of_kinds(string_kind)},
                                     {"output", {}},
                                     {"captured", {}}};
    if (sees.undo) {
      const Kinds maybe = sees.outcome_unknown ? Kinds{null_kind} : Kinds{0};
      self["output"] = own.output;
      self["output"].kinds |= maybe;
      self["captured"] = own.captured;
      self["captured"].kinds |= maybe;
    }
    roots.self = object_of(std::move(self));
    return roots;
  }

  void read(const Template& source, const std::string& pointer) {
    static_cast<void>(type_of_field(source, pointer));
  }
  Type type_of_field(const Template& source, const std::string& pointer) {
    return fields_.read({&source, pointer, sees_}, roots(sees_, {}));
  }

  Type answer_of(const Action& action, const Own& own, std::size_t number) {
    if (!action.output && number != Surroundings::nowhere) around_.is_raw[number] = true;
    const bool from_probe = action.probe && action.probe->output;
    if (!action.output) return {};
    return from_probe ? either(own.output, own.probe_output) : own.output;
  }

  Type payload_of(const Wait& wait) {
    if (wait.schema) return schemas_.type_of(&wait.schema->source(), Origin::other);
    Type any;
    any.origin = Origin::signal;
    return any;
  }

  Type signal_of(const Wait& wait) {
    const bool always = wait.on_timeout == OnTimeout::fail;
    const Kinds name = always ? Kinds{string_kind} : Kinds{string_kind | null_kind};
    return object_of({{"signal", of_kinds(name)},
                      {"payload", always || !wait.schema ? payload_of(wait) : Type{}},
                      {"by", of_kinds(string_kind | null_kind)},
                      {"at", of_kinds(name)}});
  }

  Output parallel(const Parallel& block) {
    Added all;
    for (const auto& branch : block.branches) {
      const auto mark = around_.reach.mark();
      walk(branch.steps);
      const Added added = around_.reach.take_back(mark);
      all.insert(all.end(), added.begin(), added.end());
    }
    around_.reach.add(all);
    return std::nullopt;
  }

  /// Whose output it is that a block gives, as long as every way through it has one.
  class Outputs {
   public:
    void add(std::optional<Type> one) {
      complete_ = complete_ && one.has_value();
      if (one) type_ = type_ ? either(*type_, *one) : *one;
    }
    Output get() const { return complete_ ? type_ : std::nullopt; }

   private:
    bool complete_ = true;
    std::optional<Type> type_;
  };

  Output switch_block(const Step& step, const Switch& block) {
    Outputs outputs;
    Added certain;
    Added maybe;
    std::size_t ends = 0;
    const auto arm = [&](const Case& one, const std::string& at) {
      const auto mark = around_.reach.mark();
      walk(one.steps);
      std::optional<Type> output;
      if (one.output) output = type_of_field(*one.output, at + "/output");
      Added added = around_.reach.take_back(mark);
      const bool counts = can_end(one.steps);
      ends += counts ? 1 : 0;
      if (counts) outputs.add(std::move(output));
      Added& all = counts ? certain : maybe;
      all.insert(all.end(), added.begin(), added.end());
    };
    for (std::size_t i = 0; i < block.cases.size(); ++i)
      arm(block.cases[i], step.pointer + "/switch/cases/" + std::to_string(i));
    if (block.otherwise) arm(*block.otherwise, step.pointer + "/switch/otherwise");
    // A step stands in one arm only: it is certain behind the block if no other arm ends there.
    const auto mark = around_.reach.mark();
    around_.reach.add(certain);
    if (ends > 1) around_.reach.weaken(mark);
    const auto behind = around_.reach.mark();
    around_.reach.add(maybe);
    around_.reach.weaken(behind);
    return outputs.get();
  }

  /// What the schema of the list admits and the loop does not is LIMIT_EXCEEDED when it comes.
  void admits_list(const Step& step, const ForEach& block, const Type& list) {
    if (list.schema == nullptr || !list.schema->contains("maxItems")) return;
    const auto items_max = list.schema->at("maxItems").get<std::size_t>();
    if (items_max <= block.items_max) return;
    check_.warning("W110", step.pointer + "/forEach/in",
                   "the list may have " + std::to_string(items_max) + " items, `" + step.name +
                       "` admits " + std::to_string(block.items_max),
                   "raise maxItems of the `forEach`, or lower it in the schema");
  }

  Output for_each(const Step& step, const ForEach& block, const Type& list) {
    const std::string at = step.pointer + "/forEach";
    admits_list(step, block, list);
    const auto mark = around_.reach.mark();
    const std::size_t outer = around_.variables.size();
    const bool unnamed =
        std::exchange(around_.unnamed_variable, around_.unnamed_variable || block.as.empty());
    around_.variables.push_back({block.as, items_of(schemas_, list)});
    if (!block.index_as.empty())
      around_.variables.push_back({block.index_as, of_kinds(number_kind)});
    if (block.key) fields_.read({&*block.key, at + "/key", sees_, Wants::key}, roots(sees_, {}));
    walk(block.steps);
    Type item;
    if (block.yield) item = type_of_field(*block.yield, at + "/yield");
    around_.variables.resize(outer);
    around_.unnamed_variable = unnamed;
    around_.reach.take_back(mark);
    return array_of(item);
  }

  Output try_block(const Step& step, const Try& block) {
    const auto mark = around_.reach.mark();
    Outputs outputs;
    walk(block.steps);
    way_out(block.steps, block.output, step.pointer + "/try", outputs);
    around_.reach.weaken(mark);
    const bool failure = std::exchange(sees_.failure, true);
    Added caught;
    for (std::size_t i = 0; i < block.catches.size(); ++i) {
      const Catch& one = block.catches[i];
      const std::string at = step.pointer + "/try/catch/" + std::to_string(i);
      const auto begin = around_.reach.mark();
      if (one.when)
        fields_.read({&*one.when, at + "/when", sees_, Wants::condition}, roots(sees_, {}));
      walk(one.steps);
      way_out(one.steps, one.output, at, outputs);
      const Added added = around_.reach.take_back(begin);
      caught.insert(caught.end(), added.begin(), added.end());
    }
    sees_.failure = failure;
    around_.reach.add(caught);
    around_.reach.weaken(mark);
    return outputs.get();
  }

  void way_out(const Steps& steps, const std::optional<Template>& output, const std::string& at,
               Outputs& outputs) {
    std::optional<Type> type;
    if (output) type = type_of_field(*output, at + "/output");
    if (output || can_end(steps)) outputs.add(std::move(type));
  }

  void unread_values() {
    for_each_step(check_.definition, [&](const Step& step) {
      const std::size_t number = around_.number_of(step.name);
      if (!std::holds_alternative<Value>(step.body) || number == Surroundings::nowhere ||
          around_.is_read[number])
        return;
      check_.warning("W423", step.pointer,
                     "the value `" + step.name + "` is computed and never read", "remove it");
    });
  }

  const Check& check_;
  Schemas schemas_;
  Surroundings around_;
  FieldReader fields_;
  Sees sees_;
};

}  // namespace

Surroundings::Surroundings(const Definition& definition) : reach(0) {
  for_each_step(definition, [&](const Step& step) {
    if (step.name.empty() || !numbers.try_emplace(step.name, names.size()).second) return;
    names.push_back(step.name);
    declared.push_back(&step);
  });
  steps.resize(names.size());
  is_read.resize(names.size());
  is_raw.resize(names.size());
  reach = Reach(names.size());
}

std::size_t Surroundings::number_of(const std::string& step) const {
  const auto found = numbers.find(step);
  return found == numbers.end() ? nowhere : found->second;
}

const Variable* Surroundings::variable(std::string_view name) const {
  const auto found = std::find_if(variables.rbegin(), variables.rend(),
                                  [&](const Variable& one) { return one.name == name; });
  return found == variables.rend() ? nullptr : &*found;
}

void check_reading(const Check& check) {
  Reading(check).run();
}

}  // namespace backstitch::dsl
