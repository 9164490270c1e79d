#include <backstitch/base/json_pointer.hpp>
#include <backstitch/dsl/json_gate.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/number.hpp>

#include "json_syntax.hpp"

namespace backstitch::dsl {
namespace {

constexpr int number_overflow = 406;  ///< the library's id of a number that no double holds
constexpr const char* place_begins = " (line ";
constexpr const char* integer_range = "an integer does not fit in 64 bits; send it as a string";

/// Builds the value while it refuses. The library's parser is iterative, so depth costs no stack.
class Gate : public nlohmann::json_sax<Json> {
 public:
  /// Whose numbers are taken: anybody's, or those that were in the domain when they were stored.
  enum class Numbers { any, stored };
  Gate(std::string_view text, const GateLimits& limits, Numbers numbers = Numbers::any)
      : text_(text), limits_(limits), numbers_(numbers) {}

  Json& result() { return root_; }
  const Error& error() const { return error_; }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) return number(std::to_string(value));
    return put(static_cast<std::int64_t>(value));
  }
  /// The library turns integers that are too large into floating point without a word.
  bool number_float(number_float_t, const string_t& text) override { return number(text); }
  bool string(string_t& value) override {
    if (value.find('\0') != string_t::npos)
      return refuse("json-nul", "the character U+0000 cannot be stored");
    return put(std::move(value));
  }
  bool binary(binary_t&) override { return refuse("json-syntax", "binary values are not JSON"); }

  bool start_object(std::size_t) override { return open(Json::value_t::object); }
  bool start_array(std::size_t) override { return open(Json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (name.find('\0') != string_t::npos)
      return refuse("json-nul", "the character U+0000 cannot be stored");
    auto [place, added] =
        open_.back()->get_ref<Json::object_t&>().emplace(std::move(name), nullptr);
    member_ = &place->second;
    return added || refuse("json-duplicate-key", "the key `" + place->first + "` is duplicated");
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& failure) override {
    const std::string_view what = failure.what();
    const std::size_t at = position == 0 ? 0 : position - 1;
    if (failure.id == number_overflow) {
      error_ = make("json-number-range",
                    "a number is larger than every double; send it as a string", at);
    } else if (what.find("UTF-8") != std::string_view::npos) {
      error_ = make("json-encoding", "a text is not UTF-8", at);
    } else {
      SyntaxMistake mistake = syntax_mistake(text_, at, what);
      error_ = make("json-syntax", mistake.message, at);
      error_.details.front().hint = std::move(mistake.hint);
    }
    return false;
  }

 private:
  template <class Value>
  bool put(Value&& value) {
    if (!fits()) return false;
    *place() = std::forward<Value>(value);
    return true;
  }

  bool number(std::string_view text) {
    if (numbers_ == Numbers::stored) return put(stored_number(text));
    auto value = number_of(text);
    return value ? put(std::move(*value)) : refuse_range();
  }

  /// Whether the array that is being read may have one more item.
  bool fits() {
    if (open_.empty() || open_.size() > limits_.levels || member_ != nullptr) return true;
    return open_.back()->size() < limits_.items_max ||
           refuse("json-too-many-items",
                  "there are more than " + std::to_string(limits_.items_max) + " items");
  }

  /// Where the next value goes.
  Json* place() {
    if (open_.empty()) return &root_;
    if (member_ != nullptr) return std::exchange(member_, nullptr);
    auto& items = open_.back()->get_ref<Json::array_t&>();
    items.emplace_back();
    return &items.back();
  }

  bool open(Json::value_t kind) {
    if (open_.size() >= limits_.depth_max) {
      return refuse("json-too-deep",
                    "nested deeper than " + std::to_string(limits_.depth_max - limits_.levels));
    }
    if (!fits()) return false;
    Json* value = place();
    *value = Json(kind);
    open_.push_back(value);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  bool refuse_range() { return refuse("json-integer-range", integer_range); }

  bool refuse(const char* reason, const std::string& message) {
    error_ = make(reason, message, std::nullopt);
    return false;
  }

  Error make(const char* reason, const std::string& message,
             std::optional<std::size_t> position) const {
    Error error{ErrorCode::invalid, reason, message};
    if (position) {
      std::size_t line = 1;
      std::size_t column = 1;
      for (std::size_t i = 0; i < std::min(*position, text_.size()); ++i) {
        column = text_[i] == '\n' ? 1 : column + 1;
        if (text_[i] == '\n') ++line;
      }
      error.message +=
          place_begins + std::to_string(line) + ", column " + std::to_string(column) + ")";
    }
    error.details.push_back({pointer(), reason, message});
    return error;
  }

  /// Of the value that is read next, walked only when something is wrong.
  std::string pointer() const {
    std::string out;
    const Json* at = &root_;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (open_[i] != &root_) out += "/" + name_of(*at, open_[i]);
      at = open_[i];
    }
    if (open_.empty()) return out;
    if (member_ != nullptr) return out + "/" + name_of(*open_.back(), member_);
    if (open_.back()->is_array()) return out + "/" + std::to_string(open_.back()->size());
    return out;
  }

  static std::string name_of(const Json& parent, const Json* child) {
    if (parent.is_array()) return std::to_string(parent.size() - 1);
    for (const auto& [name, value] : parent.items()) {
      if (&value == child) return escaped_pointer(name);
    }
    return "";
  }

  std::string_view text_;
  const GateLimits& limits_;
  Numbers numbers_;
  Json root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;
  Error error_;
};

/// A value that was built by a program: what its text could not hold, or hold otherwise.
class Admission {
 public:
  explicit Admission(std::size_t depth_max) : depth_max_(depth_max) {}

  bool look(Json& value, std::size_t depth) {
    switch (value.type()) {
      case Json::value_t::number_unsigned:
        return unsigned_integer(value);
      case Json::value_t::number_float:
        if (!std::isfinite(value.get_ref<double&>()))
          return refuse("json-number-range", "a number is not finite");
        value = number(value.get_ref<double&>());
        return true;
      case Json::value_t::string:
        return text(value.get_ref<const std::string&>());
      case Json::value_t::array:
      case Json::value_t::object:
        return depth < depth_max_
                   ? inside(value, depth + 1)
                   : refuse("json-too-deep", "nested deeper than " + std::to_string(depth_max_));
      case Json::value_t::binary:
      case Json::value_t::discarded:
        return refuse("json-syntax", "binary values are not JSON");
      case Json::value_t::null:
      case Json::value_t::boolean:
      case Json::value_t::number_integer:
        return true;
    }
    return true;
  }

  Error error() && {
    return {ErrorCode::invalid, reason_, message_, {{pointer_, reason_, message_}}};
  }

 private:
  bool unsigned_integer(Json& value) {
    auto taken = number_of(std::to_string(value.get_ref<std::uint64_t&>()));
    if (!taken) return refuse("json-integer-range", integer_range);
    value = std::move(*taken);
    return true;
  }

  bool text(const std::string& value) {
    if (value.find('\0') != std::string::npos)
      return refuse("json-nul", "the character U+0000 cannot be stored");
    const bool is_ascii =
        std::all_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x80; });
    return is_ascii || is_utf8(value) || refuse("json-encoding", "a text is not UTF-8");
  }

  /// As the library judges it.
  static bool is_utf8(const std::string& value) {
    try {
      return !Json(value).dump().empty();
    } catch (const Json::type_error&) {
      return false;
    }
  }

  bool inside(Json& value, std::size_t depth) {
    std::size_t index = 0;
    for (auto it = value.begin(); it != value.end(); ++it, ++index) {
      const bool good = (!value.is_object() || text(it.key())) && look(*it, depth);
      if (good) continue;
      const std::string name =
          value.is_object() ? escaped_pointer(it.key()) : std::to_string(index);
      pointer_.insert(0, "/" + name);
      return false;
    }
    return true;
  }

  bool refuse(const char* reason, std::string message) {
    reason_ = reason;
    message_ = std::move(message);
    return false;
  }

  std::size_t depth_max_;
  std::string reason_, message_, pointer_;
};

Error too_large(std::size_t bytes, std::size_t most) {
  return {ErrorCode::invalid,
          "json-too-large",
          "The text has " + std::to_string(bytes) + " bytes; at most " + std::to_string(most) +
              " are taken.",
          {{"", "json-too-large", "too large"}}};
}

}  // namespace

Result<Json> parse_json(std::string_view text, const GateLimits& limits) {
  if (text.size() > limits.bytes_max) return too_large(text.size(), limits.bytes_max);
  Gate gate(text, limits);
  if (Json::sax_parse(text.begin(), text.end(), &gate)) return std::move(gate.result());
  return gate.error();
}

Result<Json> admit(Json value, const GateLimits& limits) {
  Admission admission(limits.depth_max);
  if (!admission.look(value, 0)) return std::move(admission).error();
  const bool any_size = limits.bytes_max == SIZE_MAX;
  const std::size_t bytes = any_size ? 0 : json_text_size(value);
  if (bytes > limits.bytes_max) return too_large(bytes, limits.bytes_max);
  return value;
}

Json stored_json(std::string_view text) {
  const GateLimits none{.bytes_max = SIZE_MAX, .depth_max = SIZE_MAX};
  Gate gate(text, none, Gate::Numbers::stored);
  if (!Json::sax_parse(text.begin(), text.end(), &gate))
    throw std::invalid_argument("stored text is not JSON: " + gate.error().message);
  return std::move(gate.result());
}

std::pair<std::uint32_t, std::uint32_t> line_and_column(const Error& gate_error) {
  const auto begin = gate_error.message.rfind(place_begins);
  std::pair<std::uint32_t, std::uint32_t> place{0, 0};
  if (begin == std::string::npos) return place;
  const std::string text = gate_error.message.substr(begin);
  if (std::sscanf(text.c_str(), " (line %u, column %u)", &place.first, &place.second) != 2)
    return {0, 0};
  return place;
}

}  // namespace backstitch::dsl
