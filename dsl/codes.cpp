#include <backstitch/dsl/codes.hpp>

#include <algorithm>
#include <array>

namespace backstitch::dsl {
namespace {

constexpr std::array<std::string_view, 3> prefixes{"HTTP_", "TRANSPORT_", "CHILD_"};
constexpr std::array<std::string_view, 17> codes{"ANSWER_FOREIGN",    "BUSINESS_KEY_REUSED",
                                                 "CANCELLED",         "COMPENSATION_FAILED",
                                                 "CONTENT_REFUSED",   "ENGINE_BUG",
                                                 "EXPRESSION_FAILED", "INPUT_INVALID",
                                                 "LIMIT_EXCEEDED",    "OPERATOR",
                                                 "OUTCOME_UNKNOWN",   "RESOLVED_NOT_DONE",
                                                 "RETRIES_EXHAUSTED", "SAGA_TIMEOUT",
                                                 "STEP_TIMEOUT",      "TAKEN_OVER_REPEATEDLY",
                                                 "WAIT_TIMEOUT"};

}  // namespace

bool is_engine_code(std::string_view code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end() ||
         std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return code.starts_with(prefix); });
}

}  // namespace backstitch::dsl
