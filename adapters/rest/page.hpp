#pragma once
#include <cstddef>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/json_text.hpp>

namespace backstitch::rest {

/// The JSON text of the items of one answer has at most so many bytes, but for a single item.
inline constexpr std::size_t page_bytes_max = 1024 * 1024;

/// A part of a list, from its beginning.
struct Page {
  Json items = Json::array();
  Json next{};  ///< the position of the last item; null: the list ends with it
};

/// As many rows as fit, at least one. Each is turned into JSON only if those before it fit.
/// @param has_more  there are rows behind these
template <class Rows, class ToJson, class PositionOf>
Page page_of(const Rows& rows, std::size_t items_max, bool has_more, const ToJson& to_json_of,
             const PositionOf& position_of) {
  Page page;
  std::size_t bytes = 0;
  for (const auto& row : rows) {
    bool fits = page.items.size() < items_max;
    Json item = fits ? to_json_of(row) : Json();
    if (fits) bytes += json_text_size(item) + 1;
    fits = fits && (page.items.empty() || bytes <= page_bytes_max);
    if (!fits) return page;
    page.items.push_back(std::move(item));
    page.next = position_of(row);
  }
  if (!has_more) page.next = nullptr;
  return page;
}

}  // namespace backstitch::rest
