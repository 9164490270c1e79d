#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// One thing that was seen of a saga, in the order in which it happened. As text, a line each:
///
///     call a                  a's action is called for the first time
///     retry a                 … and once more
///     done a {"n": 1}         a succeeded; of a wait, sleep or value without a call before
///     refused a SOLD_OUT      a is known not done; also of a fail, and of a wait that timed out
///     unknown a               it will not be known whether a was done
///     undo a, undone a        its compensation is called, and has succeeded
///     undo-failed a           … or was given up, and the rest goes on
///     cancel, deadline        a cancel was accepted, the saga's timeout passed
///     suspended a             a person is needed at a; `suspended a OPERATOR`: one asked for it
///     resumed a               a person has answered that
///     undo-left a operator    a person went on without its compensation; `not-done`: it needs none
///     together, apart         what stands between happened at one moment, in no order
///     COMPLETED {"n": 1}      the end; FAILED CODE, FAILED_INCOMPLETE CODE
struct Observed {
  enum class What {
    call,
    retry,
    done,
    refused,
    unknown,
    undo,
    undone,
    undo_failed,
    cancelled,
    deadline,
    suspended,
    resumed,
    undo_left,
    together,
    apart,
    ended
  };
  What what = What::call;
  std::string path;
  std::string word;                           ///< the failure's code, the reason, or `pivot-unsent`
  std::string failure_class{};                ///< empty: what its code usually has
  std::string status{};                       ///< of the end
  std::optional<Json> output = std::nullopt;  ///< unset: not seen
};

/// Lines, or pieces between `|`; throws std::invalid_argument at one that is none of the above.
std::vector<Observed> observed(std::string_view text);
std::string to_text(const Observed& seen);

}  // namespace backstitch::test
