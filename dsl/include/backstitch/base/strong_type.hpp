#pragma once
#include <compare>
#include <functional>
#include <utility>

namespace backstitch {

/// A named number or text: two of them with different tags do not mix.
///   using Epoch = StrongType<struct EpochTag, std::int64_t>;
template <class Tag, class T>
class StrongType {
 public:
  using value_type = T;
  StrongType() = default;
  explicit StrongType(T value) : value_(std::move(value)) {}
  const T& get() const { return value_; }
  // clang-tidy 14 takes the 0 that a rewritten comparison is compared with for a null pointer.
  auto operator<=>(const StrongType&) const = default;  // NOLINT(modernize-use-nullptr)

 private:
  T value_{};
};

}  // namespace backstitch

template <class Tag, class T>
struct std::hash<backstitch::StrongType<Tag, T>> {
  std::size_t operator()(const backstitch::StrongType<Tag, T>& v) const {
    return std::hash<T>{}(v.get());
  }
};
