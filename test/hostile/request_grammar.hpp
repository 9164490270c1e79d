#pragma once
/// HTTP requests as hostile peers write them, by the grammar of RFC 9112 and beside it.
#include <cstddef>
#include <string>
#include <vector>

#include "../support/dice.hpp"

namespace backstitch::test {

enum class Framing {
  sound,    ///< it ends where its author says, so the next request is answered as well
  refused,  ///< its end is ambiguous: one refusal, and the connection closes
  unknown,  ///< bytes were changed at random
};

struct HostileRequest {
  std::string bytes;
  Framing framing = Framing::sound;
  /// A text that the answer quotes, and no answer to another request; empty: it quotes nothing.
  std::string nonce{};
  int status = 0;  ///< that it is answered with; 0: any
  bool is_head = false;
};

/// Reproducible from its dice.
class RequestGrammar {
 public:
  explicit RequestGrammar(Dice& dice) : dice_(dice) {}
  HostileRequest next();

 private:
  struct Parts {
    std::string method, target, version;
    std::vector<std::string> fields;  ///< `Name: value`
    std::string body;                 ///< with its framing
  };

  HostileRequest sound();
  HostileRequest with_refused_framing();
  HostileRequest damaged();
  std::string nonce();
  std::string chunked(const std::string& body);
  std::string field(const std::string& name, const std::string& value);
  void add_harmless_fields(Parts& parts);
  std::string text_of(const Parts& parts) const;

  Dice& dice_;
  std::size_t count_ = 0;
};

}  // namespace backstitch::test
