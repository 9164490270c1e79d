#pragma once
#include <optional>
#include <string>
#include <string_view>

#include <backstitch/engine/machine/state.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

/// Keeps the right to complete a step by its callback from whoever may read the saga.
///
/// The machine names the callback of a step by a handle, which is in the log, in views and in every
/// digest: `<saga>-<digest of the step's path and chance>`. What a participant is sent is the
/// token: the handle and its HMAC under a key that only the engine can read. The token is put into
/// a request when it is sent, and taken out of whatever comes back. Immutable.
class CallbackSeal {
 public:
  explicit CallbackSeal(std::string key) : key_(std::move(key)) {}

  std::string token(std::string_view handle) const;
  /// @return nothing: it is not a token under this key
  std::optional<std::string> handle(std::string_view token) const;

  /// Wherever the request names the handle it names the token then.
  void put_in(RenderedRequest& request, const std::string& handle) const;
  /// Wherever an answer repeats a token of the saga it names the handle then.
  void take_out(Response& response, const SagaId& saga) const;

 private:
  void take_out(std::string& text, const std::string& saga) const;
  void take_out(Json& value, const std::string& saga) const;

  std::string key_;
};

}  // namespace backstitch::engine
