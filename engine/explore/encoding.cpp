#include "encoding.hpp"

#include <cstring>

namespace backstitch::engine::explore {

void Encoding::json(const Json& value) {
  // Read back from text, a number that is not negative has become unsigned.
  const bool integer = value.is_number_integer();
  bytes_ += static_cast<char>(integer ? Json::value_t::number_integer : value.type());
  switch (value.type()) {
    case Json::value_t::object:
      number(value.size());
      for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
        text(name);
        json(member);
      }
      return;
    case Json::value_t::array:
      number(value.size());
      for (const auto& item : value.get_ref<const Json::array_t&>()) json(item);
      return;
    case Json::value_t::string:
      return text(value.get_ref<const std::string&>());
    case Json::value_t::boolean:
      return flag(value.get<bool>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return number(static_cast<std::uint64_t>(value.get<std::int64_t>()));
    case Json::value_t::number_float: {
      const double real = value.get<double>();
      char raw[sizeof real];
      std::memcpy(raw, &real, sizeof real);
      bytes_.append(raw, sizeof raw);
      return;
    }
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      return;
  }
}

void Encoding::failure(const Failure& failure) {
  text(failure.code);
  text(failure.failure_class);
  text(failure.message);
  text(failure.step);
  json(failure.details);
}

void Encoding::failure(const std::optional<Failure>& failure) {
  flag(failure.has_value());
  if (failure) this->failure(*failure);
}

void Encoding::request(const std::shared_ptr<const RenderedRequest>& request) {
  flag(request != nullptr);
  if (!request) return;
  for (const auto* part :
       {&request->service, &request->method, &request->target, &request->body, &request->key,
        &request->compensates, &request->probes, &request->callback})
    text(*part);
  number(request->headers.size());
  for (const auto& [name, value] : request->headers) {
    text(name);
    text(value);
  }
  number(static_cast<std::uint64_t>(request->attempt_timeout.count()));
}

void Encoding::call(const CallState& call) {
  request(call.request);
  number(call.attempts);
  flag(call.in_flight);
  flag(call.unknown_seen);
  flag(call.last_attempt);
  time(call.first_at);
  time(call.retry_at);
}

void Encoding::step(const StepState& step) {
  number(static_cast<std::uint64_t>(step.status));
  text(step.key);
  for (const auto* call : {&step.forward, &step.probe, &step.poll, &step.undo}) this->call(*call);
  json(step.output);
  json(step.captured);
  failure(step.failure);
  failure(step.undo_failure);
  flag(step.succeeded);
  flag(step.effect_unknown);
  flag(step.undo_given_up);
  flag(step.left_over);
  flag(step.callback_used);
  flag(step.callback_noted);
  flag(step.child_stopped);
  text(step.callback_token);
  for (const auto* moment : {&step.undo_not_before, &step.timeout_at, &step.wait_until})
    time(*moment);
  flag(step.child != nullptr);
  if (step.child) {
    text(step.child->definition);
    json(step.child->input);
    text(step.child->business_key.value_or(""));
  }
  number(static_cast<std::uint64_t>(step.settled_sequence));
}

void Encoding::block(const BlockState& block) {
  number(block.chosen);
  number(block.failures.size());
  for (const auto& failure : block.failures) this->failure(failure);
  failure(block.caught);
  flag(block.catch_chosen.has_value());
  number(block.catch_chosen.value_or(0));
  json(block.items);
  number(block.keys.size());
  for (const auto& key : block.keys) text(key);
  json(block.yields);
  number(block.next);
  number(block.open.size());
  for (const auto index : block.open) number(index);
}

void Encoding::suspension(const Suspension& suspension) {
  text(suspension.reason);
  text(suspension.message);
  text(suspension.step);
  number(static_cast<std::uint64_t>(suspension.phase));
  number(static_cast<std::uint64_t>(suspension.from));
  number(static_cast<std::uint64_t>(suspension.cause));
}

void Encoding::signal(const QueuedSignal& signal) {
  text(signal.name);
  json(signal.payload);
  text(signal.by);
}

}  // namespace backstitch::engine::explore
