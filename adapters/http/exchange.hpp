#pragma once
/// One attempt on its way, and the text it sends.
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/engine/ports/secrets.hpp>

#include "url.hpp"

namespace backstitch::http {

struct Exchange {
  engine::Call call;
  std::string request;  ///< head and body, as sent
  engine::SteadyTime deadline;
  engine::TimerId timer = 0;
  std::function<void(engine::CallResult)> done;
};

/// The bytes of a request: the author's headers, the engine's, and authentication.
/// @return an error naming the secret or the kind of authentication that is missing
Result<std::string> write_request(const engine::Call& call, const Url& url,
                                  const engine::Secrets* secrets, const std::string& version);

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A complete answer as the machine sees it, whatever its body; see engine::read_body. Header
/// values that are not UTF-8 are left out.
engine::Response read_response(int status, Headers headers, const std::string& body);
/// The same for an answer whose body exceeds `bytes_max` and was not read.
engine::Response oversized_response(int status, Headers headers, std::size_t bytes_max);

}  // namespace backstitch::http
