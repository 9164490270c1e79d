#include "headers.hpp"

#include <algorithm>

#include <backstitch/dsl/header_field.hpp>

namespace backstitch::dsl {
namespace {

constexpr const char* name_hint = "letters, digits and -, like X-Customer";

/// A rendered value loses the spaces around it, so only what is inside counts.
bool can_be_field_value(const Template& value) {
  std::string text = value.skeleton();
  const auto inserted = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\x01'));
  if (inserted != value.expressions().size()) return false;
  std::replace(text.begin(), text.end(), '\x01', '-');
  return is_field_value("-" + text + "-");
}

}  // namespace

void Headers::check_stated(const std::string& pointer, const std::string& name) {
  if (!is_token(name)) {
    return check_.error("E304", pointer, "\"" + name + "\" is not a valid name of a header",
                        name_hint);
  }
  const bool is_services =
      service_ != nullptr && (is_same_header(name, service_->idempotency_header) ||
                              is_same_header(name, credential_header(service_->auth)));
  if (is_services || !is_authors_header(name)) {
    check_.error("E304", pointer, "the header `" + name + "` is set by the engine",
                 "remove it; credentials are stated in the `auth` of the registered service");
  }
  const auto other = std::find_if(stated_.begin(), stated_.end(),
                                  [&](const auto& known) { return is_same_header(known, name); });
  if (other == stated_.end()) return stated_.push_back(name);
  check_.error("E304", pointer, "the headers `" + *other + "` and `" + name + "` are the same one",
               "participants may not tell them apart: remove one");
}

void Headers::check_value(const std::string& pointer, const std::string& name,
                          const std::string& value) const {
  if (is_field_value(value)) return;
  check_.error(
      "E304", pointer,
      "the header `" + name + "` holds a control character, or begins or ends with a space",
      "leave it out");
}

void Headers::check_value(const std::string& pointer, const std::string& name,
                          const Template& value) const {
  if (can_be_field_value(value)) return;
  check_.error("E304", pointer, "the header `" + name + "` holds a control character",
               "leave it out");
}

void Headers::check_engines(const std::string& pointer, const std::string& name,
                            std::string_view usual) const {
  if (!is_token(name)) {
    return check_.error("E304", pointer, "\"" + name + "\" is not a valid name of a header",
                        name_hint);
  }
  const HeaderOwner owner = owner_of_header(name);
  if (owner == HeaderOwner::author || is_same_header(name, usual)) return;
  check_.error("E304", pointer, "the header `" + name + "` already has another meaning",
               "choose a name of your own, like X-Request-Key");
}

}  // namespace backstitch::dsl
