#pragma once
/// A part of a position as bytes: equal parts, equal bytes.
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine::explore {

class Encoding {
 public:
  explicit Encoding(std::string& bytes) : bytes_(bytes) { bytes_.clear(); }

  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  void flag(bool value) { bytes_ += value ? '\1' : '\0'; }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  void json(const Json& value);
  void time(const std::optional<TimePoint>& time) { flag(time.has_value()); }
  void failure(const Failure& failure);
  void failure(const std::optional<Failure>& failure);
  void request(const std::shared_ptr<const RenderedRequest>& request);
  void call(const CallState& call);
  void step(const StepState& step);
  void block(const BlockState& block);
  void suspension(const Suspension& suspension);
  void signal(const QueuedSignal& signal);

 private:
  std::string& bytes_;
};

}  // namespace backstitch::engine::explore
