#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::http {

/// A secret of fewer bytes is not replaced in answers by itself: it might be any word of them.
inline constexpr std::size_t replaced_bytes_min = 16;

/// The values that a request was authenticated with, which a participant may repeat in its answer:
/// to a log, an error page, an echo. They are replaced by `***` before the answer is stored.
class SentSecrets {
 public:
  /// @param secret  as it is kept; what is sent of it is known here too
  void add(dsl::AuthType type, const std::string& secret);
  void replace_in(engine::Response& response) const;
  /// Whether one of the values is too short to be replaced by itself.
  bool has_short() const { return has_short_; }

 private:
  void add_value(std::string value);
  void replace_in(std::string& text) const;
  void replace_in(Json& value) const;
  std::vector<std::string> values_;  ///< the longest first
  bool may_be_number_ = false;       ///< one of them, as an answer may write it
  bool has_short_ = false;
};

/// As `Authorization: Basic` has it.
std::string base64(std::string_view text);

}  // namespace backstitch::http
