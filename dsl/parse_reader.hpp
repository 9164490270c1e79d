#pragma once
/// Reads one JSON object strictly: every key is asked for by name, and what was not asked for is a
/// finding.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/finding.hpp>

namespace backstitch::dsl {

using Findings = std::vector<Finding>;

bool is_identifier(std::string_view text);   ///< `[a-z][A-Za-z0-9_]*`, at most 64
bool is_error_code(std::string_view text);   ///< `[A-Z][A-Z0-9_]*`, at most 64
bool is_dotted_name(std::string_view text);  ///< of a definition
void add_error(Findings& findings, std::string code, std::string pointer, std::string message,
               std::string hint = {});
/// What a field takes as a duration, if it is written out.
struct DurationBounds {
  bool required = false;
  Duration least{0};
  Duration most = Duration::max();
};
inline constexpr DurationBounds more_than_nothing{.least = Duration{1}};
/// A call that may take longer is a step with a `completion`.
inline constexpr DurationBounds one_attempt{.least = Duration{1}, .most = Duration{300'000}};

/// How a text becomes one that the gate lets in.
std::string hint_of(const Error& gate_error);
inline constexpr const char* hint_for_names =
    "names begin with a lower-case letter and go on with letters, digits and _, at most 64";

/// The findings of a failed Template or Expression compile, below `pointer`.
void add_compile_errors(Findings& findings, const Error& error, const std::string& pointer);

class Reader {
 public:
  /// A value that is no object is a finding, and the reader is empty then.
  Reader(const Json& value, std::string pointer, const char* what, Findings& findings);
  ~Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const std::string& pointer() const { return pointer_; }
  std::string at(std::string_view key) const { return pointer_ + "/" + escaped_pointer(key); }
  Findings& findings() { return findings_; }
  bool has(std::string_view key) const;

  /// nullptr: not there.
  const Json* take(const char* key);
  /// The same, and a finding if it is missing.
  const Json* require(const char* key);

  std::optional<std::string> text(const char* key, bool required = false);
  std::optional<std::int64_t> integer(const char* key, std::int64_t least, std::int64_t most,
                                      bool required = false);
  std::optional<double> number(const char* key, double least, double most);
  std::optional<bool> boolean(const char* key);
  std::optional<DurationField> duration(const char* key, const DurationBounds& bounds = {});
  std::optional<Duration> plain_duration(const char* key, const DurationBounds& bounds = {});
  std::optional<Template> value_template(const char* key);
  /// A text template; anything but a string is a finding.
  std::optional<Template> text_template(const char* key);
  /// A string that is exactly one `${ }`.
  std::optional<Expression> expression(const char* key, bool required = false);
  std::optional<std::string> identifier(const char* key, bool required = false);
  std::optional<std::string> error_code(const char* key, bool required = false);
  std::vector<std::string> texts(const char* key);

  /// One of a closed list of words.
  template <class Enum>
  std::optional<Enum> word(const char* key,
                           std::initializer_list<std::pair<const char*, Enum>> words) {
    const auto value = text(key);
    if (!value) return std::nullopt;
    std::vector<std::string> names;
    for (const auto& [name, meaning] : words) {
      if (*value == name) return meaning;
      names.emplace_back(name);
    }
    refuse_word(key, *value, names);
    return std::nullopt;
  }

  /// A finding about the object as a whole; nothing more if it is not an object at all.
  void refuse(std::string code, std::string message, std::string hint = {});

  /// Every key that nobody asked for is a finding. Call once, at the end.
  void finish();

 private:
  void wrong_type(const char* key, const char* wanted, const Json& found);
  void refuse_word(const char* key, const std::string& value,
                   const std::vector<std::string>& names);

  const Json* object_ = nullptr;
  std::string pointer_;
  const char* what_;
  Findings& findings_;
  std::vector<std::string> known_;
};

/// How a text is written that was meant as an expression and has no `${ }`; else `otherwise`.
std::string hint_for_expression(const std::string& text, std::string otherwise);

/// A string that is exactly one `${ }`.
std::optional<Expression> read_expression(const Json& value, const std::string& pointer,
                                          Findings& findings);

}  // namespace backstitch::dsl
