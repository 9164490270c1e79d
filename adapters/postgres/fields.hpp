#pragma once
/// Rows to values and values to text parameters, for the statements that are not hot.
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/base/invariant.hpp>
#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

#include "session.hpp"

namespace backstitch::postgres {

/// SQL that gives a timestamptz as whole milliseconds; time_of reads it.
#define BACKSTITCH_MILLISECONDS(column) "floor(extract(epoch from " column ") * 1000)::bigint"

inline std::int64_t number_of(const pqxx::field& field) {
  std::int64_t value = 0;
  const char* const end = field.c_str() + field.size();
  const auto [at, error] = std::from_chars(field.c_str(), end, value);
  BACKSTITCH_INVARIANT(error == std::errc{} && at == end, "the database answered no number");
  return value;
}

inline bool flag_of(const pqxx::field& field) {
  return field.c_str()[0] == 't';
}

inline TimePoint time_of(const pqxx::field& field) {
  return TimePoint(Duration(number_of(field)));
}

inline std::optional<TimePoint> optional_time_of(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return time_of(field);
}

inline SagaId saga_of(const pqxx::field& field) {
  const std::optional<SagaId> id = SagaId::parse(std::string_view(field.c_str(), field.size()));
  BACKSTITCH_INVARIANT(id.has_value(), "the database answered no saga id");
  return *id;
}

/// An array parameter.
inline std::string shards_literal(const std::vector<Shard>& shards) {
  std::string out = "{";
  for (const Shard shard : shards) {
    if (out.size() > 1) out += ',';
    out += std::to_string(shard);
  }
  return out + "}";
}

/// A text parameter that may be null; lives as long as this.
class NullableText {
 public:
  NullableText() = default;
  explicit NullableText(const std::optional<std::string>& text) : text_(text) {}
  const char* get() const { return text_ ? text_->c_str() : nullptr; }

 private:
  std::optional<std::string> text_;
};

}  // namespace backstitch::postgres
