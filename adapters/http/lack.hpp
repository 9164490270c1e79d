#pragma once
#include <optional>

#include <boost/system/error_code.hpp>

#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::http {

/// What of our own a system call wanted for; nothing if the error is about the peer or the network.
std::optional<engine::Lack> lack_of(const boost::system::error_code& error);
/// Whether this process cannot open another file, for calls that do not say why they failed.
bool is_without_descriptors();

}  // namespace backstitch::http
