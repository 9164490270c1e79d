#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::engine {

/// Finds many texts in one pass over another one (Aho and Corasick 1975): the time is that of
/// reading both, however many there are and however they overlap. Immutable once built.
class TextSearch {
 public:
  /// @param texts  not empty ones
  explicit TextSearch(std::vector<std::string> texts);
  /// The text with whatever any of the texts covers replaced by the mask, once for each stretch.
  std::string masked(const std::string& text, std::string_view mask) const;

 private:
  using Node = std::uint32_t;
  struct Stretch {
    std::size_t begin;
    std::size_t end;
  };

  void add(std::string_view text);
  void link();
  Node child_of(Node node, unsigned char byte) const;
  Node next(Node node, unsigned char byte) const;
  std::vector<Stretch> covered(const std::string& text) const;

  struct State {
    Node first_child = 0;
    Node next_sibling = 0;
    Node fail = 0;              ///< the longest proper end of this beginning that is one, too
    std::uint32_t longest = 0;  ///< of the texts that end here
    unsigned char byte = 0;
  };
  std::vector<State> states_{1};
};

}  // namespace backstitch::engine
