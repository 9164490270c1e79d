#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include <algorithm>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "path.hpp"
#include "text_search.hpp"

namespace backstitch::engine {
namespace {

constexpr std::size_t searched_chars_min = 4;
constexpr std::size_t searched_bytes_max = 256 * 1024;
const std::string mask = "***";

/// `reserve/flight/holdSeats[0]/holdSeat` -> `holdSeat`; the iteration of a block is the block's.
std::string name_in(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);
  return std::string(path.substr(0, path.find('[')));
}

/// `/a?x=1&y=2` with the values of the parameters that are sensitive masked.
std::string masked_target(const std::string& target, const dsl::RequestTaint& taint) {
  if (taint.path) return mask;
  const auto begin = target.find('?');
  if (begin == std::string::npos) return target;
  std::string out = target.substr(0, begin);
  std::string_view query = std::string_view(target).substr(begin);
  while (!query.empty()) {
    const auto end = std::min(query.find('&', 1), query.size());
    const std::string_view one = query.substr(1, end - 1);
    const std::string_view name = one.substr(0, one.find('='));
    const bool hide = name.size() < one.size() &&
                      std::any_of(taint.query.begin(), taint.query.end(), [&](const auto& known) {
                        return known.second && percent_encoded(known.first) == name;
                      });
    out += query.front();
    out += hide ? std::string(name) + "=" + mask : std::string(one);
    query.remove_prefix(end);
  }
  return out;
}

const dsl::RequestTaint& request_of(const dsl::StepTaint& step, Phase phase) {
  switch (phase) {
    case Phase::probe:
      return step.probe;
    case Phase::poll:
      return step.poll;
    case Phase::compensate:
      return step.undo;
    case Phase::forward:
      break;
  }
  return step.action;
}

void mask_member(Json& object, const char* member, const dsl::Taint& taint) {
  const auto found = object.find(member);
  if (found != object.end()) *found = dsl::masked(std::move(*found), taint);
}

Json* find(Json& object, const char* member) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(member);
  return found == object.end() ? nullptr : &*found;
}

/// Empty: it has no such member, or that is no text.
std::string text_in(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

void mask_labels(Json& labels, const dsl::TaintMap& taints) {
  for (const auto& [name, sensitive] : taints.labels)
    if (sensitive && labels.contains(name)) labels[name] = mask;
}

}  // namespace

std::shared_ptr<const dsl::TaintMap> taints_of(const dsl::Definition& definition,
                                               const std::vector<std::string>& given) {
  if (given.empty()) return definition.taints;
  return std::make_shared<const dsl::TaintMap>(
      dsl::TaintMap::of(definition, dsl::Taint::of_pointers(given)));
}

bool has_sensitive_values(const dsl::Definition& definition,
                          const std::vector<std::string>& given) {
  return !given.empty() || (definition.taints && definition.taints->any);
}

std::vector<std::string> sensitive_of_child(const dsl::Definition& parent,
                                            const std::vector<std::string>& given,
                                            const std::string& step) {
  const auto taints = taints_of(parent, given);
  if (!taints) return {};
  const auto found = taints->steps.find(step);
  if (found == taints->steps.end()) return {};
  dsl::Taint child;
  child.members["input"] = found->second.child_input;
  child.members["businessKey"].whole = found->second.child_business_key;
  return child.pointers();
}

std::string stored_taints(const dsl::Definition& definition,
                          const std::vector<std::string>& given) {
  const auto taints = taints_of(definition, given);
  if (!taints || !taints->any) return {};
  Json out = Json::object();
  const auto put = [](Json& into, const char* name, const dsl::Taint& taint) {
    if (taint.any()) into[name] = taint.pointers();
  };
  put(out, "input", taints->input);
  put(out, "output", taints->output);
  put(out, "failure", taints->failure);
  for (const auto& [name, sensitive] : taints->labels)
    if (sensitive) out["labels"].push_back(name);
  if (taints->business_key) out["businessKey"] = true;
  for (const auto& [name, step] : taints->steps) {
    Json one = Json::object();
    put(one, "output", step.output);
    if (!one.empty()) out["steps"][name] = std::move(one);
  }
  return json_text(out);
}

Error without_values(Error error, const dsl::Definition& definition,
                     const std::vector<std::string>& given) {
  std::string message;
  if (error.reason == "EXPRESSION_FAILED")
    message = "An expression of the definition cannot be evaluated for this input.";
  else if (error.reason == "business-key-reused")
    message = "The business key belongs to the saga " + error.saga + ", which has other input.";
  else if (error.reason == "compensation-not-renderable")
    message = "With this output and captured data the compensation cannot be rendered.";
  const auto taints = message.empty() ? nullptr : taints_of(definition, given);
  if (!taints || !taints->any) return error;
  error.message = std::move(message);
  for (auto& detail : error.details) detail.message = error.message;
  return error;
}

void mask_listed(Json& saga, const std::string& stored_taints) {
  if (stored_taints.empty()) return;
  const Json taints = dsl::stored_json(stored_taints);
  for (const Json& label : taints.value("labels", Json::array()))
    if (saga["labels"].contains(label.get<std::string>()))
      saga["labels"][label.get<std::string>()] = mask;
  if (taints.contains("businessKey") && !saga["businessKey"].is_null()) saga["businessKey"] = mask;
  if (!saga["failure"].is_object()) return;
  for (const char* member : {"message", "details"})
    if (saga["failure"].contains(member) && !saga["failure"][member].is_null())
      saga["failure"][member] = mask;
}

Masking::Masking(const dsl::Definition& definition, const SagaState& state)
    : taints_(taints_of(definition, state.sensitive)) {
  if (!taints_) return;
  collect(state.input, taints_->input);
  if (taints_->business_key && state.business_key) collect_all(*state.business_key);
  for (const auto& [path, known] : state.steps) {
    const dsl::StepTaint& taint = step(path);
    collect(known.output, taint.output);
    collect(known.captured, taint.captured);
  }
  for (const auto& signal : state.signals) {
    const auto found = taints_->signals.find(signal.name);
    if (found != taints_->signals.end()) collect(signal.payload, found->second);
  }
  if (needle_bytes_ > 0 && needle_bytes_ <= searched_bytes_max)
    search_ = std::make_shared<const TextSearch>(std::move(needles_));
  needles_.clear();
}

/// The sensitive parts of a value.
void Masking::collect(const Json& part, const dsl::Taint& taint) {
  if (taint.whole) return collect_all(part);
  if (part.is_object()) {
    for (const auto& [name, member] : part.items()) {
      const auto found = taint.members.find(name);
      if (found != taint.members.end())
        collect(member, found->second);
      else if (!taint.items.empty())
        collect(member, taint.items.front());
    }
  } else if (part.is_array() && !taint.items.empty()) {
    for (const Json& item : part) collect(item, taint.items.front());
  }
}

void Masking::collect_all(const Json& part) {
  if (part.is_structured()) {
    for (const Json& inner : part) collect_all(inner);
    return;
  }
  if (!part.is_string() && !part.is_number()) return;
  const std::string escaped = json_text(part);
  const std::string text = part.is_string() ? part.get<std::string>() : escaped;
  if (text.size() < searched_chars_min) return;
  add_needle(text);
  if (part.is_number()) {
    numbers_.insert(text);
    return;
  }
  // As it stands in a body, which is JSON in a text.
  const std::string inner = escaped.substr(1, escaped.size() - 2);
  if (inner != text) add_needle(inner);
  // As the engine sends it in a path or query, which a participant may repeat.
  const std::string in_target = percent_encoded(text);
  if (in_target != text) add_needle(in_target);
}

void Masking::add_needle(std::string text) {
  needle_bytes_ += text.size();
  if (needle_bytes_ <= searched_bytes_max) needles_.push_back(std::move(text));
}

const dsl::StepTaint& Masking::step(const std::string& path) const {
  static const dsl::StepTaint nothing;
  const auto found = taints_->steps.find(name_in(path));
  return found == taints_->steps.end() ? nothing : found->second;
}

EventRecord Masking::masked(EventRecord event) const {
  if (event.data.empty() || !taints_) return event;
  Json data = dsl::stored_json(event.data);
  mask_event(event.type, event.path, data);
  search(data);
  event.data = json_text(data);
  return event;
}

void Masking::mask_event(const std::string& type, const StepPath& path, Json& data) const {
  const dsl::StepTaint& taint = step(path);
  if (Json* failure = find(data, "failure")) mask_failure(*failure, path);
  if (type == "SagaStarted") {
    mask_member(data, "input", taints_->input);
    if (Json* labels = find(data, "labels")) mask_labels(*labels, *taints_);
    if (taints_->business_key && data.contains("businessKey")) data["businessKey"] = mask;
  } else if (type == "StepScheduled") {
    mask_request(data["request"], taint.action);
  } else if (type == "ProbeScheduled") {
    mask_request(data["request"], taint.probe);
  } else if (type == "StepCompensationScheduled") {
    mask_request(data["request"], taint.undo);
  } else if (type == "StepWaiting") {
    if (Json* poll = find(data, "poll")) mask_request(*poll, taint.poll);
  } else if (type == "ChildScheduled") {
    mask_member(data["child"], "input", taint.child_input);
    if (taint.child_business_key && data["child"].contains("businessKey"))
      data["child"]["businessKey"] = mask;
  } else if (type == "BlockStarted") {
    mask_member(data, "items", taint.items);
    if (Json* keys = find(data, "keys"); keys != nullptr && taint.key)
      for (Json& key : *keys) key = mask;
  } else if (type == "IterationEnded") {
    mask_member(data, "output", taint.yield);
  } else if (type == "SignalReceived") {
    const auto signal = taints_->signals.find(text_in(data, "name"));
    if (signal != taints_->signals.end()) mask_member(data, "payload", signal->second);
  } else if (type == "StepSucceeded") {
    mask_member(data, "output", taint.output);
    mask_member(data, "captured", taint.captured);
  } else if (type == "SagaEnded") {
    mask_member(data, "output", taints_->output);
  } else if (type == "SagaSuspended") {
    mask_suspension(data, path);
  } else if (type == "CatchPassedOver" && taint.reads) {
    data["message"] = mask;
  }
  if (taint.reads && data.contains("note")) data["note"] = mask;
}

void Masking::mask_request(Json& request, const dsl::RequestTaint& taint) const {
  if (!request.is_object() || !taint.any()) return;
  if (Json* target = find(request, "target"); target != nullptr && target->is_string())
    *target = masked_target(target->get_ref<const std::string&>(), taint);
  if (Json* headers = find(request, "headers")) {
    for (Json& header : *headers) {
      const auto known = taint.headers.find(header[0].get_ref<const std::string&>());
      if (known != taint.headers.end() && known->second) header[1] = mask;
    }
  }
  Json* body = find(request, "body");
  if (body == nullptr || !taint.body.any()) return;
  const auto read = dsl::parse_json(body->get_ref<const std::string&>(),
                                    dsl::GateLimits{.bytes_max = SIZE_MAX}.around(1));
  *body = read && !taint.body.whole ? json_text(dsl::masked(*read, taint.body)) : mask;
}

/// The error of an expression quotes the values that it read.
void Masking::mask_failure(Json& failure, const StepPath& path) const {
  if (!failure.is_object()) return;
  const std::string of = text_in(failure, "step");
  const std::string at = of.empty() ? path : of;
  const bool known = !at.empty();
  failure = dsl::masked(std::move(failure), known ? step(at).failure : taints_->failure);
  const bool reads = known ? step(at).reads : taints_->any;
  const bool quotes = reads && text_in(failure, "code") == "EXPRESSION_FAILED";
  if (!quotes && !(known && step(at).rules)) return;
  for (const char* member : {"message", "details"}) {
    const auto found = failure.find(member);
    if (found != failure.end() && !found->is_null()) *found = mask;
  }
}

void Masking::mask_suspension(Json& suspension, const StepPath& path) const {
  if (!suspension.is_object() || !suspension.contains("message")) return;
  const std::string of = text_in(suspension, "step");
  const std::string at = of.empty() ? path : of;
  const bool reads = at.empty() ? taints_->any : step(at).reads;
  const bool quotes = reads && text_in(suspension, "reason") == "EXPRESSION_FAILED";
  if (quotes || (!at.empty() && step(at).rules)) suspension["message"] = mask;
}

void Masking::mask_view(Json& view) const {
  if (!taints_) return;
  mask_member(view, "input", taints_->input);
  mask_member(view, "output", taints_->output);
  mask_labels(view["labels"], *taints_);
  if (taints_->business_key && !view["businessKey"].is_null()) view["businessKey"] = mask;
  mask_failure(view["failure"], "");
  mask_suspension(view["suspension"], "");
  for (Json& one : view["suspensions"]) mask_suspension(one, "");
  if (Json* sentence = find(view["why"], "sentence")) search(*sentence);
  if (Json* answer = find(view["why"], "lastAnswer"); answer != nullptr && answer->is_object()) {
    mask_failure(*answer, text_in(view["why"], "step"));
    search(*answer);
  }
  for (Json& one : view["acted"]) search(one["reason"]);
  // Not all of it: a sensitive year would hide every time.
  for (const char* member :
       {"input", "output", "failure", "suspension", "suspensions", "labels", "businessKey"})
    search(view[member]);
  for (Json& one : view["steps"]) {
    const std::string path = text_in(one, "path");
    mask_member(one, "output", step(path).output);
    search(one["output"]);
    for (Json* failure :
         {find(one, "failure"), find(one, "lastPoll"), find(one["compensation"], "failure")}) {
      if (failure == nullptr) continue;
      mask_failure(*failure, path);
      search(*failure);
    }
  }
}

std::string Masking::target(const StepPath& path, Phase phase, const std::string& target) const {
  if (!taints_) return target;
  return searched(masked_target(target, request_of(step(path), phase)));
}

std::string Masking::url(const StepPath& path, Phase phase, const std::string& base_url,
                         const std::string& target) const {
  return this->target(path, phase, target) == target ? base_url + target : mask;
}

void Masking::search(Json& shown) const {
  if (needle_bytes_ == 0) return;
  if (shown.is_structured()) {
    for (Json& inner : shown) search(inner);
  } else if (shown.is_string()) {
    shown = searched(shown.get_ref<const std::string&>());
  } else if (shown.is_number() && numbers_.count(json_text(shown)) > 0) {
    shown = mask;
  }
}

std::string Masking::searched(const std::string& text) const {
  if (needle_bytes_ == 0 || text.size() < searched_chars_min) return text;
  return search_ ? search_->masked(text, mask) : mask;
}

}  // namespace backstitch::engine
