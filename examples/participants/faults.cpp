#include "faults.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace backstitch::examples {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds delay_default{500};
constexpr milliseconds delay_max{60'000};

constexpr std::array<std::pair<FaultMode, std::string_view>, 8> mode_names{
    {{FaultMode::refuse, "refuse"},
     {FaultMode::delay, "delay"},
     {FaultMode::drop_before, "drop-before"},
     {FaultMode::drop_after, "drop-after"},
     {FaultMode::error_after, "error-after"},
     {FaultMode::error_before, "error-before"},
     {FaultMode::garbage, "garbage"},
     {FaultMode::hang, "hang"}}};

std::optional<FaultMode> mode_of(std::string_view text) {
  for (const auto& [mode, name] : mode_names) {
    if (name == text) return mode;
  }
  return std::nullopt;
}

std::string_view to_text(FaultMode mode) {
  for (const auto& [known, name] : mode_names) {
    if (known == mode) return name;
  }
  return "";
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> allowed) {
  return std::find(allowed.begin(), allowed.end(), text) != allowed.end();
}

bool matches(const FaultRule& rule, std::string_view service, const Request& request) {
  const std::string_view path = request.path();
  const std::string_view phase =
      request.saga_phase.empty() ? std::string_view("forward") : request.saga_phase;
  return (rule.service.empty() || rule.service == service) && path.starts_with(rule.path) &&
         path.find(rule.match) != std::string_view::npos &&
         (rule.phase.empty() ? phase != "callback" : rule.phase == phase) &&
         (rule.saga.empty() || rule.saga == request.saga_id) &&
         (rule.step.empty() || rule.step == request.saga_step);
}

std::string misspelt_member(const json& object) {
  for (const auto& item : object.items()) {
    if (!is_one_of(item.key(), {"service", "path", "match", "phase", "saga", "step", "mode",
                                "status", "body", "delayMs", "times", "remember"})) {
      return item.key();
    }
  }
  return {};
}

/// @throws json::exception on a member of the wrong type
ParsedFault fault_of(const json& object) {
  if (!object.is_object()) return {{}, "a fault is a JSON object"};
  // A misspelt member would make a test pass for the wrong reason.
  if (const auto key = misspelt_member(object); !key.empty()) return {{}, "unknown member " + key};
  const auto mode = mode_of(object.value("mode", ""));
  if (!mode) {
    return {{},
            "mode must be one of refuse, delay, drop-before, drop-after, error-after, "
            "error-before, garbage, hang"};
  }
  FaultRule rule;
  rule.mode = *mode;
  rule.service = object.value("service", "");
  rule.path = object.value("path", "");
  rule.match = object.value("match", "");
  rule.phase = object.value("phase", "");
  rule.saga = object.value("saga", "");
  rule.step = object.value("step", "");
  rule.status = object.value("status", 0U);
  if (object.contains("body")) rule.body = object["body"].dump();
  rule.delay = *mode == FaultMode::delay ? delay_default : milliseconds{0};
  rule.delay = milliseconds{object.value("delayMs", std::int64_t{rule.delay.count()})};
  const auto times = object.value("times", std::int64_t{1});
  rule.remember = object.value("remember", true);

  if (!is_one_of(rule.phase, {"", "forward", "compensate", "probe", "callback"})) {
    return {{}, "phase must be forward, compensate, probe or callback"};
  }
  if (rule.phase == "callback" && *mode != FaultMode::refuse && *mode != FaultMode::delay &&
      *mode != FaultMode::drop_after) {
    return {{}, "a callback can be refused, delayed or dropped"};
  }
  if (rule.status != 0 && (rule.status < 200 || rule.status > 599)) {
    return {{}, "status must be between 200 and 599"};
  }
  if (rule.delay < milliseconds{0} || rule.delay > delay_max) {
    return {{}, "delayMs must be between 0 and 60000"};
  }
  if (times < 0) return {{}, "times must not be negative"};
  rule.times = static_cast<std::uint64_t>(times);
  return {std::move(rule), {}};
}

}  // namespace

std::shared_ptr<const FaultRule> Faults::find(std::string_view service, const Request& request) {
  const std::lock_guard lock(mutex_);
  for (Live& live : rules_) {
    if (live.is_spent() || !matches(*live.rule, service, request)) continue;
    ++live.applied;
    if (live.is_spent()) live_.fetch_sub(1, std::memory_order_relaxed);
    return live.rule;
  }
  return nullptr;
}

std::uint64_t Faults::add(FaultRule rule) {
  const std::lock_guard lock(mutex_);
  rules_.push_back({++last_id_, std::make_shared<const FaultRule>(std::move(rule))});
  live_.fetch_add(1, std::memory_order_relaxed);
  return last_id_;
}

void Faults::clear() {
  const std::lock_guard lock(mutex_);
  rules_.clear();
  live_.store(0, std::memory_order_relaxed);
}

json Faults::list() const {
  const std::lock_guard lock(mutex_);
  json all = json::array();
  for (const Live& live : rules_) {
    const FaultRule& rule = *live.rule;
    all.push_back({{"id", live.id},
                   {"service", rule.service},
                   {"path", rule.path},
                   {"match", rule.match},
                   {"phase", rule.phase},
                   {"saga", rule.saga},
                   {"step", rule.step},
                   {"mode", to_text(rule.mode)},
                   {"status", rule.status},
                   {"body", rule.body.empty() ? json() : json::parse(rule.body)},
                   {"delayMs", rule.delay.count()},
                   {"times", rule.times},
                   {"remember", rule.remember},
                   {"applied", live.applied}});
  }
  return all;
}

ParsedFault parse_fault(std::string_view text, std::span<const ServiceInfo> services) {
  try {
    ParsedFault parsed = fault_of(json::parse(text));
    const std::string& service = parsed.rule.service;
    if (parsed.wrong.empty() && !service.empty() && find_service(services, service) == nullptr) {
      return {{}, "no service is called " + service};
    }
    return parsed;
  } catch (const json::exception& error) {
    return {{}, error.what()};
  }
}

}  // namespace backstitch::examples
