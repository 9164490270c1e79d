#include "random_reach.hpp"

#include <algorithm>

namespace backstitch::test {
namespace {

bool holds(const std::vector<Readable>& list, const Readable& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

void add(std::vector<Readable>& list, const std::vector<Readable>& more) {
  for (const auto& one : more) {
    if (!holds(list, one)) list.push_back(one);
  }
}

std::string certain(const Readable& from) {
  const std::string output = "steps." + from.step + ".output";
  switch (from.shape) {
    case Shape::number:
      return output + ".n";
    case Shape::signal:
      return output + ".payload.n";
    case Shape::list:
      return output + ".sum(o, o.n)";
  }
  return "";
}

std::string perhaps(const Readable& from) {
  const std::string output = "steps." + from.step + "?.output";
  switch (from.shape) {
    case Shape::number:
      return "(" + output + "?.n ?? 0)";
    case Shape::signal:
      return "(" + output + "?.payload?.n ?? 0)";
    case Shape::list:
      return "len(" + output + " ?? [])";
  }
  return "";
}

}  // namespace

Reach united(const Reach& a, const Reach& b) {
  Reach out = a;
  add(out.must, b.must);
  add(out.may, b.may);
  return out;
}

Reach either(const std::vector<Reach>& ways) {
  Reach out;
  for (const auto& way : ways) add(out.may, way.may);
  if (ways.empty()) return out;
  for (const auto& one : ways.front().must) {
    if (std::all_of(ways.begin(), ways.end(),
                    [&](const Reach& way) { return holds(way.must, one); }))
      out.must.push_back(one);
  }
  return out;
}

std::string random_number(Dice& dice, const Place& at) {
  std::vector<std::string> choices{"input.n", "len(input.items)"};
  if (!at.reach.must.empty()) {
    choices.push_back(certain(dice.pick(at.reach.must)));
    choices.push_back(certain(dice.pick(at.reach.must)));
  }
  if (!at.reach.may.empty()) choices.push_back(perhaps(dice.pick(at.reach.may)));
  if (!at.numbers.empty()) choices.push_back(dice.pick(at.numbers));
  if (at.failure) choices.emplace_back("len(failure.code)");
  const std::string one = dice.pick(choices);
  return dice.chance(25) ? one + " + " + dice.pick(choices) : one;
}

std::string random_condition(Dice& dice, const Place& at) {
  if (at.failure && dice.chance(30))
    return std::string("failure.code == '") + dice.pick({"OUTCOME_UNKNOWN", "HTTP_422", "F1"}) +
           "'";
  const std::string few = std::to_string(dice.below(8));
  switch (dice.below(6)) {
    case 0:
      return "input.flag";
    case 1:
      return "!input.flag";
    case 2:
      return "(input?.note ?? 'none') != 'none'";
    case 3:
      return random_number(dice, at) + " == " + few;
    case 4:
      return random_number(dice, at) + " % 2 == 0";
    default:
      return random_number(dice, at) + " > " + few;
  }
}

}  // namespace backstitch::test
