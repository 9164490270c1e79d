/// How long the language takes: checking a definition, compiling and evaluating expressions.
/// `./dev bench --language` runs it; bench/README.md has the figures and what they should be.
#include <fstream>
#include <iterator>
#include <string>

#include <benchmark/benchmark.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>

namespace backstitch::bench {
namespace {

std::string order_definition() {
  std::ifstream file(BACKSTITCH_DEFINITIONS "/good/orders.place.json");
  return {std::istreambuf_iterator<char>(file), {}};
}

Json large_step(int number) {
  const std::string name = "step" + std::to_string(number);
  const std::string before =
      number == 0 ? "input.id" : "steps.step" + std::to_string(number - 1) + ".output.id";
  return {{"name", name},
          {"action",
           {{"service", "s"},
            {"http", "PUT /things/${saga.root}/" + name},
            {"body",
             {{"before", "${" + before + "}"},
              {"customer", "${input.customer.name}"},
              {"total", "${input.lines.sum(l, l.qty * l.cents)}"},
              {"note", "Order ${input.id} for ${input.customer.name}"},
              {"short", "${len(input.id) > 3 ? input.id : 'none'}"}}}}},
          {"outcomes", Json::array({{{"status", 409}, {"is", "failure"}, {"code", "REFUSED"}}})},
          {"output", {{"id", "${response.body.id}"}}},
          {"compensation", {{"http", "DELETE /things/${saga.root}/" + name}}}};
}

/// As large as a definition may be: 500 steps, 256 KiB, each step reading the one before.
std::string largest_definition() {
  constexpr std::size_t bytes = 256 * 1024;
  Json document = Json::parse(R"({"dsl": 1, "name": "bench.largest", "version": 1,
    "input": {"type": "object", "required": ["id", "customer", "lines"], "properties": {
      "id": {"type": "string"},
      "customer": {"type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}}},
      "lines": {"type": "array", "items": {"type": "object", "required": ["qty", "cents"],
        "properties": {"qty": {"type": "integer"}, "cents": {"type": "integer"}}}}}},
    "services": {"s": {"baseUrl": "https://s.example"}}, "steps": []})");
  for (int i = 0; i < 500; ++i) document["steps"].push_back(large_step(i));
  const std::size_t size = document.dump().size();
  document["description"] =
      std::string(bytes - size - std::string(R"(,"description":"")").size(), 'x');
  return document.dump();
}

class OneSaga : public dsl::Scope {
 public:
  OneSaga() {
    Json lines = Json::array();
    for (int i = 0; i < 50; ++i)
      lines.push_back({{"sku", "sku-" + std::to_string(i)}, {"qty", i}, {"cents", 100 * i}});
    input_ = {{"a", {{"b", "value"}}}, {"id", "o-17"}, {"customer", "c-4"}, {"lines", lines}};
    output_ = {{"id", "r-1"}, {"total", 4200}};
  }
  const Json* find(std::string_view name) const override {
    return name == "input" ? &input_ : nullptr;
  }
  const Json* step(std::string_view) const override { return nullptr; }
  const Json* step_output(std::string_view step) const override {
    return step == "a" ? &output_ : nullptr;
  }

 private:
  Json input_;
  Json output_;
};

void check(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    const auto parsed = dsl::parse_and_check(text);
    if (!parsed.definition) return state.SkipWithError(parsed.findings.front().message.c_str());
    benchmark::DoNotOptimize(parsed.definition);
  }
}

void compile(benchmark::State& state, const char* source) {
  for (auto _ : state) {
    auto expression = dsl::Expression::compile(source);
    if (!expression) return state.SkipWithError(expression.error().message.c_str());
    benchmark::DoNotOptimize(expression);
  }
}

void evaluate(benchmark::State& state, const char* source) {
  const OneSaga scope;
  const auto expression = dsl::Expression::compile(source);
  for (auto _ : state) {
    dsl::Budget budget;
    auto value = expression->evaluate(scope, budget);
    if (!value) return state.SkipWithError(value.error().message.c_str());
    benchmark::DoNotOptimize(value);
  }
}

void render(benchmark::State& state) {
  const OneSaga scope;
  const auto body = dsl::Template::compile(Json::parse(R"({
    "customer": "${input.customer}", "state": "PENDING", "reference": "Order ${input.id}",
    "reservation": "${steps.a.output.id}",
    "amount": {"cents": "${steps.a.output.total}", "currency": "EUR"},
    "first": ["${input.lines[0].sku}", "${input.lines[1].sku}"]})"));
  for (auto _ : state) {
    dsl::Budget budget;
    auto value = body->render(scope, budget);
    if (!value) return state.SkipWithError(value.error().message.c_str());
    benchmark::DoNotOptimize(value);
  }
}

BENCHMARK_CAPTURE(check, order, order_definition())->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(check, largest, largest_definition())->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(compile, sum,
                  "steps.total.output.cents - (steps.coupon?.output?.discountCents ?? 0)")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(compile, macro, "input.items.sum(i, i.qty * i.unitCents)")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(evaluate, step_output, "steps.a.output.id");
BENCHMARK_CAPTURE(evaluate, input_member, "input.a.b");
BENCHMARK_CAPTURE(evaluate, map_of_50, "input.lines.map(l, {sku: l.sku, qty: l.qty})")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(evaluate, map_of_50_numbers, "input.lines.map(l, l.qty * l.cents)")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(render)->Name("render/body")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace backstitch::bench

BENCHMARK_MAIN();
