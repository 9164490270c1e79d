#include <algorithm>
#include <numeric>

#include "evaluation.hpp"

namespace backstitch::dsl {
namespace {

/// The list of a macro and the body evaluated for one of its items.
class Loop {
 public:
  Loop(Evaluation& evaluation, const Node& node, const Frame* frame)
      : evaluation_(evaluation),
        node_(node),
        frame_(frame),
        list_(evaluation.value(node.children[0], frame)) {
    if (!list_.get().is_array())
      fail(node, "`." + node.text + "` needs an array, not " + shown(list_.get()));
  }
  const Json& items() const { return list_.get(); }
  Operand body(const Json& item) {
    evaluation_.charge(node_);
    const Frame inner{node_.variable, &item, frame_};
    return evaluation_.evaluate(node_.children[1], &inner);
  }
  Operand value(const Json& item) {
    Operand result = body(item);
    if (result.is_omit()) fail(node_, "`omit` is used where a value is needed");
    return result;
  }
  bool holds(const Json& item) {
    evaluation_.charge(node_);
    const Frame inner{node_.variable, &item, frame_};
    return evaluation_.condition(node_.children[1], &inner);
  }
  /// Counts what the result grows by.
  void grow(const Json& item) {
    const Weight made = weight_of(item);
    evaluation_.charge(node_, made.steps);
    evaluation_.check_size(node_, size_ += made.bytes);
  }
  Operand found(const Json& item) { return evaluation_.part_of(node_, list_, item); }

 private:
  Evaluation& evaluation_;
  const Node& node_;
  const Frame* frame_;
  Operand list_;
  std::size_t size_ = 8;
};

Json map(Loop& loop) {
  Json result = Json::array();
  result.get_ref<Json::array_t&>().reserve(loop.items().size());
  for (const Json& item : loop.items()) {
    Operand mapped = loop.body(item);
    if (mapped.is_omit()) continue;
    loop.grow(mapped.get());
    result.push_back(std::move(mapped).take());
  }
  return result;
}

Json filter(Loop& loop) {
  Json result = Json::array();
  for (const Json& item : loop.items()) {
    if (!loop.holds(item)) continue;
    loop.grow(item);
    result.push_back(item);
  }
  return result;
}

Json flat_map(Loop& loop, const Node& node) {
  Json result = Json::array();
  for (const Json& item : loop.items()) {
    const Operand mapped = loop.value(item);
    if (!mapped.get().is_array())
      fail(node, "the body of `.flatMap` gives an array, not " + shown(mapped.get()));
    for (const Json& inner : mapped.get()) {
      loop.grow(inner);
      result.push_back(inner);
    }
  }
  return result;
}

Json sum(Loop& loop, const Node& node) {
  Node add = Node{};
  add.op = Operator::add;
  add.begin = node.begin;
  Json total = 0;
  for (const Json& item : loop.items()) {
    const Operand part = loop.value(item);
    if (!part.get().is_number())
      fail(node, "the body of `.sum` gives a number, not " + shown(part.get()));
    total = arithmetic(add, total, part.get());
  }
  return total;
}

/// Stable: items with equal keys keep their order.
Json sort_by(Loop& loop, const Node& node) {
  const Json& items = loop.items();
  std::vector<Json> keys;
  for (const Json& item : items) {
    Json key = loop.value(item).get();
    const bool sortable = key.is_number() || key.is_string();
    if (!sortable || (!keys.empty() && keys.front().is_string() != key.is_string())) {
      fail(node, "`.sortBy` takes keys that are all numbers or all strings; one is " + shown(key));
    }
    loop.grow(item);
    keys.push_back(std::move(key));
  }
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return less(keys[a], keys[b]); });
  Json result = Json::array();
  for (const std::size_t i : order) result.push_back(items[i]);
  return result;
}

/// The body gives [key, value] for each item.
Json to_object(Loop& loop, const Node& node) {
  Json result = Json::object();
  for (const Json& item : loop.items()) {
    const Operand pair = loop.value(item);
    const Json& entry = pair.get();
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
      fail(node,
           "the body of `.toObject` gives [key, value] with a string key, not " + shown(entry));
    }
    loop.grow(entry);
    if (!result.emplace(entry[0].get_ref<const std::string&>(), entry[1]).second) {
      fail(node, "`.toObject` got the key " + shown(entry[0]) + " twice");
    }
  }
  return result;
}

}  // namespace

Operand Evaluation::macro(const Node& node, const Frame* frame) {
  Loop loop(*this, node, frame);
  const std::string& name = node.text;
  const Json& items = loop.items();
  const auto holds = [&](const Json& item) { return loop.holds(item); };
  if (name == "map") return Operand::own(map(loop));
  if (name == "filter") return Operand::own(filter(loop));
  if (name == "flatMap") return Operand::own(flat_map(loop, node));
  if (name == "sum") return Operand::own(sum(loop, node));
  if (name == "sortBy") return Operand::own(sort_by(loop, node));
  if (name == "toObject") return Operand::own(to_object(loop, node));
  if (name == "all") return Operand::own(std::all_of(items.begin(), items.end(), holds));
  if (name == "any") return Operand::own(std::any_of(items.begin(), items.end(), holds));
  if (name == "find") {
    const auto found = std::find_if(items.begin(), items.end(), holds);
    return found == items.end() ? Operand::own(nullptr) : loop.found(*found);
  }
  fail(node, "unknown macro `" + name + "`");
}

}  // namespace backstitch::dsl
