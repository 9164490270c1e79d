/// Values and what of them is sensitive.
#include <algorithm>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/dsl/taint.hpp>

namespace backstitch::dsl {
namespace {

constexpr const char* mask = "***";
constexpr const char* every = "*";

std::vector<std::string> parts_of(std::string_view pointer) {
  std::vector<std::string> parts;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string part;
    for (std::size_t i = 0; i < end; ++i) {
      const bool escape = pointer[i] == '~' && i + 1 < end;
      part += escape ? (pointer[i + 1] == '1' ? '/' : '~') : pointer[i];
      if (escape) ++i;
    }
    parts.push_back(std::move(part));
    pointer.remove_prefix(end);
  }
  return parts;
}

void list_pointers(const Taint& taint, const std::string& at, std::vector<std::string>& out) {
  if (taint.whole) return out.push_back(at);
  for (const auto& [name, member] : taint.members)
    list_pointers(member, at + "/" + escaped_pointer(name), out);
  for (const auto& item : taint.items) list_pointers(item, at + "/" + every, out);
}

}  // namespace

bool Taint::any() const {
  return whole ||
         std::any_of(members.begin(), members.end(),
                     [](const auto& entry) { return entry.second.any(); }) ||
         std::any_of(items.begin(), items.end(), [](const Taint& item) { return item.any(); });
}

Taint Taint::each() const {
  if (whole) return *this;
  Taint taint;
  for (const auto& item : items) taint.add(item);
  for (const auto& [name, member] : members) taint.add(member);
  return taint;
}

void Taint::add(const Taint& other) {
  whole = whole || other.whole;
  for (const auto& [name, member] : other.members) members[name].add(member);
  if (other.items.empty()) return;
  if (items.empty())
    items = other.items;
  else
    items.front().add(other.items.front());
}

Taint Taint::of_pointers(const std::vector<std::string>& pointers) {
  Taint taint;
  for (const auto& pointer : pointers) {
    Taint* at = &taint;
    for (const auto& part : parts_of(pointer)) {
      if (part != every) {
        at = &at->members[part];
        continue;
      }
      if (at->items.empty()) at->items.emplace_back();
      at = &at->items.front();
    }
    at->whole = true;
  }
  return taint;
}

std::vector<std::string> Taint::pointers() const {
  std::vector<std::string> out;
  list_pointers(*this, "", out);
  return out;
}

Json masked(Json value, const Taint& taint) {
  if (taint.whole) return value.is_null() ? value : Json(mask);
  if (value.is_object()) {
    for (auto& [name, member] : value.items()) {
      const auto found = taint.members.find(name);
      if (found != taint.members.end())
        member = masked(std::move(member), found->second);
      else if (!taint.items.empty())
        member = masked(std::move(member), taint.items.front());
    }
  } else if (value.is_array() && !taint.items.empty()) {
    for (Json& item : value) item = masked(std::move(item), taint.items.front());
  }
  return value;
}

}  // namespace backstitch::dsl
