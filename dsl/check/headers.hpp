#pragma once
/// Which headers a service and a definition may set. Private to dsl/check.
#include <string>
#include <string_view>
#include <vector>

#include "walk.hpp"

namespace backstitch::dsl {

/// The rules for the headers of one request, or of the requests to one service.
class Headers {
 public:
  /// Of requests to that service; nullptr: not known.
  Headers(const Check& check, const Service* service) : check_(check), service_(service) {}

  /// A header that the author states. Each header may be stated once.
  void check_stated(const std::string& pointer, const std::string& name);
  void check_value(const std::string& pointer, const std::string& name,
                   const std::string& value) const;
  /// The same of a template; what is inserted becomes a valid value when it is rendered.
  void check_value(const std::string& pointer, const std::string& name,
                   const Template& value) const;
  /// The header under which the engine is told to send something of its own, which else is in
  /// `usual`, or to look for something in answers.
  void check_engines(const std::string& pointer, const std::string& name,
                     std::string_view usual) const;

 private:
  const Check& check_;
  const Service* service_;
  std::vector<std::string> stated_;
};

}  // namespace backstitch::dsl
