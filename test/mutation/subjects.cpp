#include "subjects.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <backstitch/dsl/payload_schema.hpp>

#include "../support/random_definition.hpp"
#include "../support/reference_player.hpp"
#include "fault_kind.hpp"
#include "found_steps.hpp"

namespace backstitch::test {
namespace {

/// Small enough for `verify` to follow every way of most.
constexpr std::size_t leaves_max = 4;
constexpr std::uint64_t plays_max = 200;

Json read_json(const std::string& path) {
  std::ifstream file(path);
  return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

/// The input, and it with each top-level member absent, zero or empty, as the schema admits.
std::vector<Json> variants(const Json& schema, const Json& input) {
  std::shared_ptr<const dsl::PayloadSchema> compiled;
  dsl::PayloadSchema::compile(schema, "", compiled);
  std::vector<Json> all{input};
  const auto add = [&](const Json& other) {
    if (compiled->validate(other).empty()) all.push_back(other);
  };
  for (const auto& [name, value] : input.items()) {
    Json other = input;
    other.erase(name);
    add(other);
    other = input;
    if (value.is_number()) other[name] = 0;
    if (value.is_string()) other[name] = "";
    if (value.is_array()) other[name] = Json::array();
    if (value.is_boolean()) other[name] = !value.get<bool>();
    if (other != input) add(other);
  }
  return all;
}

/// How deep blocks that run steps beside each other are nested.
int concurrency_depth(const Json& node) {
  int depth = 0;
  for (const auto& inner : node)
    if (inner.is_structured()) depth = std::max(depth, concurrency_depth(inner));
  const bool beside = node.is_object() && (node.contains("branches") || node.contains("yield"));
  return depth + (beside ? 1 : 0);
}

/// Loops over a constant list get one of two items: three calls with all that may happen to each
/// are more states than a test has time for.
void shorten_loops(Json& node) {
  if (node.is_object() && node.contains("yield") && node["in"] == "${[3, 1, 2]}")
    node["in"] = "${[3, 1]}";
  for (auto& inner : node)
    if (inner.is_structured()) shorten_loops(inner);
}

Subject example(const std::string& folder, const std::string& file, const Json& input) {
  const std::string path = std::string(BACKSTITCH_EXAMPLES) + "/" + folder + "/";
  Subject subject{file, read_json(path + file), {}, true};
  subject.inputs = variants(subject.definition["input"],
                            input.is_null() ? read_json(path + "input.json") : input);
  return subject;
}

/// A condition that the rest of the definition decides may keep something from ever being reached.
bool reaches_everything(const Subject& subject) {
  std::set<std::string> left = places_of(subject.definition);
  for (std::uint64_t seed = 0; seed < plays_max && !left.empty(); ++seed) {
    const Json& input = subject.inputs[seed % subject.inputs.size()];
    const Play played = play(subject.definition, input, seed, known_children());
    for (const auto& place : played.reached) left.erase(place);
  }
  return left.empty();
}

Subject drawn_subject(std::uint64_t number, std::uint64_t seed) {
  const auto random = random_definition(seed, leaves_max, without_mistakes);
  Subject subject{"generated " + std::to_string(number), random.document, {}};
  Json& definition = subject.definition;
  shorten_loops(definition["steps"]);
  if (number % 4 == 0 && definition.value("recovery", "backward") == "backward") {
    const Json child{{"name", "childBegun"},
                     {"saga", {{"name", "child.undoable"}, {"input", {{"n", "${input.n}"}}}}}};
    definition["steps"].insert(definition["steps"].begin(), child);
  }
  Json input = random.input;
  if (input["items"].empty()) input["items"].push_back({{"id", "i0"}, {"n", 3}});
  if (input["items"].size() == 1) input["items"].push_back({{"id", "i1"}, {"n", 4}});
  subject.inputs = variants(definition["input"], input);
  return subject;
}

}  // namespace

std::vector<Subject> example_subjects() {
  const Json debit{{"account", "acme"}, {"amountCents", 100}, {"reference", "x-5"}};
  return {example("order", "orders.place.json", nullptr),
          example("transfer", "accounts.debit.json", debit),
          example("transfer", "transfers.cross-border.json", nullptr),
          example("travel", "travel.book.json", nullptr)};
}

Subject generated_subject(std::uint64_t number) {
  for (std::uint64_t seed = number * 1'000;; ++seed) {
    Subject subject = drawn_subject(number, seed);
    if (concurrency_depth(subject.definition["steps"]) <= 1 && reaches_everything(subject))
      return subject;
  }
}

}  // namespace backstitch::test
