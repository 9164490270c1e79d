#include <algorithm>

#include "random_grower.hpp"

namespace backstitch::test {
namespace {

Place inside(const Place& at) {
  Place in = at;
  ++in.depth;
  return in;
}

/// What is read of a list, from its own end on: its steps are not seen outside.
Json output_of(const std::string& number) {
  return {{"n", "${" + number + "}"}};
}

}  // namespace

GrownStep Grower::block(const Place& at, std::size_t leaves) {
  const bool may_fail = !at.after_pivot && !at.forward;
  switch (dice_.below(may_fail ? 4 : 3)) {
    case 0:
      return leaves < 2 ? for_each(at, leaves) : parallel(at, leaves);
    case 1:
      return switch_block(at, leaves);
    case 2:
      return for_each(at, leaves);
    default:
      return try_block(at, leaves);
  }
}

void Grower::block_options(Json& block) {
  if (dice_.chance(60)) block["onFailure"] = dice_.pick({"cancel", "finish"});
  if (dice_.chance(60)) block["compensationOrder"] = dice_.pick({"mirror", "serial"});
}

GrownStep Grower::parallel(const Place& at, std::size_t leaves) {
  const std::string name = fresh("p");
  const std::size_t count = dice_.between(2, std::min<std::size_t>(leaves, 3));
  Json block{{"branches", Json::object()}};
  GrownStep grown{{}, at.reach};
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t part = share(leaves, count - i);
    leaves -= part;
    GrownSteps branch = steps(inside(at), part);
    block["branches"][fresh("b")] = std::move(branch.steps);
    grown.reach = united(grown.reach, branch.reach);
    grown.ends = grown.ends && branch.ends;
  }
  if (dice_.chance(30)) block["maxConcurrency"] = dice_.between(1, 2);
  block_options(block);
  grown.step = {{"name", name}, {"parallel", std::move(block)}};
  return grown;
}

GrownStep Grower::switch_block(const Place& at, std::size_t leaves) {
  const std::string name = fresh("s");
  const std::size_t count = dice_.between(2, 3);
  std::vector<GrownSteps> arms;
  for (std::size_t i = 0; i < count; ++i) {
    // The last arm may be empty: that is how a switch does nothing.
    const bool empty = leaves == 0 || (i + 1 == count && dice_.chance(50));
    const std::size_t part = empty ? 0 : std::max<std::size_t>(1, share(leaves, count - i));
    leaves -= part;
    arms.push_back(steps(inside(at), part));
  }
  return switch_of(name, at, std::move(arms));
}

/// Every arm has its pivot, or ends with a failure.
GrownStep Grower::pivot_switch(const Place& at, std::size_t leaves) {
  const std::string name = fresh("s");
  const std::size_t count = dice_.between(2, 3);
  std::vector<GrownSteps> arms;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t part = share(leaves, count - i);
    leaves -= std::min(part, leaves);
    if (i > 0 && dice_.chance(20)) {
      GrownSteps arm = steps(inside(at), part / 2);
      if (arm.ends) arm.steps.push_back(fail(inside(at), false).step);
      arm.ends = false;
      arms.push_back(std::move(arm));
    } else {
      arms.push_back(steps_with_pivot(inside(at), part));
    }
  }
  return switch_of(name, at, std::move(arms));
}

GrownStep Grower::switch_of(const std::string& name, const Place& at,
                            std::vector<GrownSteps> arms) {
  const bool outputs = dice_.chance(50);
  Json cases = Json::array();
  Json otherwise;
  std::vector<Reach> ways;
  GrownStep grown{{}, at.reach, false};
  for (std::size_t i = 0; i < arms.size(); ++i) {
    Json arm = Json::object();
    if (i + 1 < arms.size()) arm["when"] = braced(random_condition(dice_, at));
    arm["steps"] = std::move(arms[i].steps);
    Place end = at;
    end.reach = arms[i].reach;
    if (outputs) arm["output"] = output_of(random_number(dice_, end));
    if (i + 1 < arms.size())
      cases.push_back(std::move(arm));
    else
      otherwise = std::move(arm);
    grown.reach.may = united({{}, grown.reach.may}, {{}, arms[i].reach.may}).may;
    grown.reach.may = united({{}, grown.reach.may}, {{}, arms[i].reach.must}).may;
    if (arms[i].ends) ways.push_back(arms[i].reach);
    grown.ends = grown.ends || arms[i].ends;
  }
  grown.reach.must = united(at.reach, either(ways)).must;
  if (outputs && grown.ends) grown.reach.must.push_back({name, Shape::number});
  grown.step = {{"name", name}, {"switch", {{"cases", cases}, {"otherwise", otherwise}}}};
  return grown;
}

GrownStep Grower::for_each(const Place& at, std::size_t leaves) {
  const std::string name = fresh("l");
  const std::string item = fresh("item");
  const bool constant = dice_.chance(30);
  Json block{{"as", item}};
  block["in"] = constant ? "${[3, 1, 2]}"
                         : dice_.pick({"${input.items}", "${input.items.filter(i, i.n > 2)}"});
  Place in = inside(at);
  in.numbers.push_back(constant ? item : item + ".n");
  if (dice_.chance(50)) block["key"] = braced(constant ? item : item + ".id");
  if (dice_.chance(30)) {
    const std::string index = fresh("i");
    block["indexAs"] = index;
    in.numbers.push_back(index);
  }
  GrownSteps body = steps(in, leaves);
  Place end = in;
  end.reach = body.reach;
  block["steps"] = std::move(body.steps);
  block["yield"] = output_of(random_number(dice_, end));
  if (dice_.chance(50)) block["maxConcurrency"] = dice_.between(1, 3);
  if (dice_.chance(20)) block["maxItems"] = 9;
  block_options(block);
  // With an empty list nothing of it can fail, so it can always end.
  GrownStep grown{{{"name", name}, {"forEach", std::move(block)}}, at.reach};
  grown.reach.must.push_back({name, Shape::list});
  return grown;
}

GrownStep Grower::try_block(const Place& at, std::size_t leaves) {
  const std::string name = fresh("t");
  const std::size_t part = std::max<std::size_t>(1, leaves / 2);
  const bool outputs = dice_.chance(50);
  const std::size_t codes_before = codes_.size();
  GrownSteps body = steps(inside(at), part);
  if (body.ends && dice_.chance(15)) {
    Place end = inside(at);
    end.reach = body.reach;
    body.steps.push_back(fail(end, false).step);
    body.ends = false;
  }
  // Only a call of its own certainly raises what catches are made of here.
  const bool calls = std::any_of(body.steps.begin(), body.steps.end(),
                                 [](const Json& step) { return step.contains("action"); });
  Json block{{"steps", std::move(body.steps)}};
  Place end = inside(at);
  end.reach = body.reach;
  if (outputs) block["output"] = output_of(random_number(dice_, end));
  std::vector<std::string> raised(codes_.begin() + static_cast<std::ptrdiff_t>(codes_before),
                                  codes_.end());
  std::swap(raised, codes_);
  // Nothing of the body is certain in a catch or behind the block.
  Place caught = inside(at);
  caught.failure = true;
  caught.reach.may = united({{}, at.reach.may}, {{}, body.reach.may}).may;
  caught.reach.may = united({{}, caught.reach.may}, {{}, body.reach.must}).may;
  std::vector<Reach> ways{caught.reach};
  const std::size_t ways_of_body = body.ends ? 1 : 0;
  block["catch"] = catches(caught, leaves - part, ways, {calls, outputs});
  codes_.insert(codes_.begin(), raised.begin(), raised.end());
  GrownStep grown{{}, at.reach};
  for (const auto& way : ways) grown.reach.may = united({{}, grown.reach.may}, {{}, way.may}).may;
  grown.ends = ways.size() - 1 + ways_of_body > 0;
  if (outputs && grown.ends) grown.reach.must.push_back({name, Shape::number});
  grown.step = {{"name", name}, {"try", std::move(block)}};
  return grown;
}

/// `ways` gets what each catch that can end leaves behind.
Json Grower::catches(const Place& at, std::size_t leaves, std::vector<Reach>& ways,
                     const CatchOptions& options) {
  std::vector<std::string> codes{"HTTP_422", "OUTCOME_UNKNOWN", "RETRIES_EXHAUSTED",
                                 "EXPRESSION_FAILED"};
  codes.insert(codes.end(), codes_.begin(), codes_.end());
  const std::size_t count = dice_.between(1, 3);
  Json list = Json::array();
  bool all_caught = false;
  // A second narrow catch might leave nothing to the next one.
  bool narrowed = !options.calls;
  for (std::size_t i = 0; i < count && !all_caught; ++i) {
    Json one = Json::object();
    const std::size_t what = dice_.below(10);
    if (what < 4 && !narrowed) {
      one["codes"] = Json::array({codes[dice_.below(codes.size())]});
      narrowed = true;
    } else if (what < 5 && !narrowed) {
      narrowed = true;
      one["classes"] = Json::array({dice_.pick({"failure", "unknown", "transient"})});
    } else if (what < 7) {
      // What cannot be evaluated does not match.
      const bool breaks = vocabulary_.mistakes && dice_.chance(20);
      one["when"] =
          breaks ? "${div(1, input.n - input.n) > 0}" : braced(random_condition(dice_, at));
    } else {
      all_caught = true;
    }
    const std::size_t part = leaves == 0 || dice_.chance(25) ? 0 : share(leaves, count - i);
    leaves -= part;
    GrownSteps caught = steps(at, part);
    Place end = at;
    end.reach = caught.reach;
    one["steps"] = std::move(caught.steps);
    if (options.outputs) one["output"] = output_of(random_number(dice_, end));
    Reach left_behind{{}, united({{}, caught.reach.may}, {{}, caught.reach.must}).may};
    if (caught.ends) ways.push_back(std::move(left_behind));
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace backstitch::test
