#pragma once
#include <optional>
#include <string>
#include <string_view>

#include <backstitch/http/egress.hpp>

namespace backstitch::http {

/// The address that a host is written as, without brackets; nothing: it is a name.
std::optional<IpAddress> literal_of(const std::string& host);
/// Compares without case.
bool is_same_host(std::string_view a, std::string_view b);
/// Whom a host leads to as far as its text tells: where a name leads is known when it is looked up,
/// but the names of loopback are known before.
Reach reach_of_host(std::string_view host);

}  // namespace backstitch::http
