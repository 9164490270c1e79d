#pragma once
/// The codes of problem documents. docs/errors.md is their source; tools/embed_errors.py turns its
/// table into the one below.
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::rest {

struct ErrorPage {
  std::string_view code;
  std::string_view status;
  std::string_view text;  ///< what it means, and what to do
};
/// Sorted by code.
std::span<const ErrorPage> error_pages();
/// Null: there is no such code.
const ErrorPage* error_page(std::string_view code);

/// How often requests were refused, by code. Thread-safe.
class Refusals {
 public:
  void count(std::string_view code);
  std::string metrics_text() const;

 private:
  /// In the order of the pages; the last one counts codes without a page.
  std::vector<std::atomic<std::uint64_t>> counts_ =
      std::vector<std::atomic<std::uint64_t>>(error_pages().size() + 1);
};

}  // namespace backstitch::rest
