#pragma once
#include <string>

namespace backstitch::postgres {

/// The text with the passwords of the connection strings in it masked, of either form. For whatever
/// is printed and may quote one.
std::string without_passwords(std::string text);

}  // namespace backstitch::postgres
