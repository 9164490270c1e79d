#include <functional>
#include <string_view>

#include "positions.hpp"

namespace backstitch::engine::explore {

std::pair<std::uint32_t, bool> Seen::insert(const Ids& ids) {
  scratch_.clear();
  std::size_t filled = ids.size();
  while (filled > 0 && ids[filled - 1] == 0) --filled;
  for (std::size_t i = 0; i < filled; ++i) {
    std::uint32_t value = ids[i];
    for (; value >= 0x80; value >>= 7) scratch_ += static_cast<char>(value | 0x80);
    scratch_ += static_cast<char>(value);
  }
  if ((ends_.size() + 1) * 2 > table_.size()) grow();
  const std::size_t mask = table_.size() - 1;
  std::size_t at = std::hash<std::string_view>{}(scratch_)&mask;
  for (; table_[at] != 0; at = (at + 1) & mask) {
    if (bytes_of(table_[at] - 1) == scratch_) return {table_[at] - 1, false};
  }
  bytes_.insert(bytes_.end(), scratch_.begin(), scratch_.end());
  ends_.push_back(bytes_.size());
  table_[at] = size();
  return {size() - 1, true};
}

Ids Seen::at(std::uint32_t number) const {
  Ids ids;
  std::uint32_t value = 0;
  unsigned shift = 0;
  for (const char c : bytes_of(number)) {
    const auto byte = static_cast<unsigned char>(c);
    value |= static_cast<std::uint32_t>(byte & 0x7FU) << shift;
    shift += 7;
    if (byte >= 0x80) continue;
    ids.push_back(value);
    value = shift = 0;
  }
  return ids;
}

std::string_view Seen::bytes_of(std::uint32_t number) const {
  const std::uint64_t begin = number == 0 ? 0 : ends_[number - 1];
  return {bytes_.data() + begin, ends_[number] - begin};
}

void Seen::grow() {
  std::vector<std::uint32_t> larger(std::max<std::size_t>(1024, table_.size() * 2));
  const std::size_t mask = larger.size() - 1;
  for (std::uint32_t number = 0; number < size(); ++number) {
    std::size_t at = std::hash<std::string_view>{}(bytes_of(number)) & mask;
    while (larger[at] != 0) at = (at + 1) & mask;
    larger[at] = number + 1;
  }
  table_ = std::move(larger);
}

}  // namespace backstitch::engine::explore
