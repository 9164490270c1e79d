#include "random_definition.hpp"

#include <algorithm>

#include "random_grower.hpp"

namespace backstitch::test {
namespace {

constexpr std::size_t depth_max = 4;

Json input_schema() {
  return Json::parse(R"({"type": "object", "additionalProperties": false,
    "required": ["id", "n", "flag", "items"], "properties": {
      "id": {"type": "string"}, "n": {"type": "integer"}, "flag": {"type": "boolean"},
      "note": {"type": "string"},
      "items": {"type": "array", "maxItems": 9, "items": {"type": "object", "required": ["id", "n"],
        "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}}}})");
}

Json random_input(Dice& dice) {
  Json input{{"id", "o-17"}, {"n", dice.below(10)}, {"flag", dice.chance(50)}};
  // Some of them do not fit into a segment of a path.
  if (dice.chance(30)) input["note"] = dice.pick({"soon", "soon", "", "..", "a/b"});
  input["items"] = Json::array();
  const std::size_t count = dice.below(4);
  for (std::size_t i = 0; i < count; ++i)
    input["items"].push_back({{"id", "i" + std::to_string(i)}, {"n", dice.below(10)}});
  return input;
}

}  // namespace

std::size_t Grower::share(std::size_t leaves, std::size_t parts) {
  if (parts <= 1 || leaves <= parts) return parts <= 1 ? leaves : std::min<std::size_t>(leaves, 1);
  return dice_.between(1, leaves - parts + 1);
}

void Grower::make_conditional(GrownStep& grown, const Place& at) {
  if (grown.step.contains("when")) return;
  grown.step["when"] = braced(random_condition(dice_, at));
  for (const auto& one : grown.reach.must) grown.reach.may.push_back(one);
  grown.reach = united({at.reach.must, {}}, {{}, grown.reach.may});
  grown.ends = true;
}

GrownSteps Grower::steps(const Place& at, std::size_t leaves) {
  GrownSteps grown;
  grown.reach = at.reach;
  Place here = at;
  while (leaves > 0 && grown.ends) {
    const bool nested = vocabulary_.blocks && at.depth < depth_max && dice_.chance(45);
    const std::size_t part = nested ? dice_.between(1, leaves) : 1;
    GrownStep one = nested ? block(here, part) : leaf(here);
    if (dice_.chance(18)) make_conditional(one, here);
    leaves -= part;
    here.reach = one.reach;
    grown.ends = one.ends;
    grown.steps.push_back(std::move(one.step));
    // Some lists are shorter than they might be.
    if (dice_.chance(12)) break;
  }
  grown.reach = here.reach;
  return grown;
}

GrownSteps Grower::steps_with_pivot(const Place& at, std::size_t leaves) {
  const std::size_t before = leaves == 0 ? 0 : dice_.below(leaves);
  GrownSteps grown = steps(at, before);
  if (!grown.ends) return grown;
  Place here = at;
  here.reach = grown.reach;
  const std::size_t rest = leaves - before;
  const bool nested = vocabulary_.blocks && at.depth < 2 && rest > 2 && dice_.chance(35);
  const std::size_t part = nested ? dice_.between(2, rest) : 1;
  GrownStep pivot = nested ? pivot_switch(here, part) : call(here, "pivot");
  grown.steps.push_back(std::move(pivot.step));
  here.reach = pivot.reach;
  here.after_pivot = true;
  grown.ends = pivot.ends;
  if (grown.ends && rest > part) {
    GrownSteps after = steps(here, rest - part);
    for (auto& step : after.steps) grown.steps.push_back(std::move(step));
    here.reach = after.reach;
    grown.ends = after.ends;
  }
  grown.reach = here.reach;
  return grown;
}

GrownSteps Grower::handler(const Place& at, std::size_t leaves) {
  GrownSteps grown;
  Place here = at;
  here.handler = here.forward = here.failure = true;
  for (; leaves > 0; --leaves) {
    GrownStep one = leaf(here);
    if (dice_.chance(18)) make_conditional(one, here);
    here.reach = one.reach;
    grown.steps.push_back(std::move(one.step));
  }
  return grown;
}

RandomDefinition random_definition(std::uint64_t seed, std::size_t leaves,
                                   const Vocabulary& vocabulary) {
  Dice dice(seed);
  Grower grower(dice, vocabulary);
  Json document{{"dsl", 1},
                {"name", "random.saga"},
                {"version", 1},
                {"input", input_schema()},
                {"services", {{"s", {{"baseUrl", "https://s.example"}}}}}};
  if (dice.chance(15)) document["services"]["s"]["idempotency"] = "natural";
  // It is written for actions, and must reach neither probes nor compensations.
  if (vocabulary.mistakes && dice.chance(12))
    document["services"]["s"]["outcomes"] = Json::array({{{"status", 404}, {"is", "success"}}});
  if (dice.chance(20)) document["labels"] = {{"n", "${string(input.n)}"}};
  if (dice.chance(20)) document["businessKey"] = "${input.id}";
  if (dice.chance(15)) document["timeout"] = dice.pick({"5m", "12h"});
  Place start;
  start.forward = dice.chance(12);
  if (start.forward) document["recovery"] = "forward";
  const std::size_t size = dice.between(1, std::max<std::size_t>(leaves, 1));
  const bool pivot = !start.forward && dice.chance(50);
  GrownSteps main = pivot ? grower.steps_with_pivot(start, size) : grower.steps(start, size);
  document["steps"] = std::move(main.steps);
  Place end = start;
  end.reach = main.reach;
  if (dice.chance(70)) document["output"] = {{"n", "${" + random_number(dice, end) + "}"}};
  Place failed = start;
  failed.reach = {{}, united({{}, main.reach.may}, {{}, main.reach.must}).may};
  if (dice.chance(35)) document["onFailure"] = grower.handler(failed, dice.between(1, 2)).steps;
  if (vocabulary.on_suspended && dice.chance(20))
    document["onSuspended"] = grower.handler(failed, 1).steps;
  RandomDefinition random{std::move(document), random_input(dice)};
  return random;
}

}  // namespace backstitch::test
