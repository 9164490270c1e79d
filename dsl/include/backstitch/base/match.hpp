#pragma once

namespace backstitch {

/// Overload set for std::visit: one lambda an alternative, so that a forgotten case does not
/// compile.
template <class... Fs>
struct Match : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Match(Fs...) -> Match<Fs...>;

}  // namespace backstitch
