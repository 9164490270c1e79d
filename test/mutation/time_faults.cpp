// Faults about budgets: timeouts, attempts, waits.
#include "seeding.hpp"

namespace backstitch::test {
namespace {

bool is_early_action(const FoundStep& found) {
  return found.is_action() && !found.after_pivot && !found.in_handler && !is_pivot(found) &&
         kind_of_step(*found.step) != "retryable";
}

Fits early(const char* member) {
  return [member](const FoundStep& found) {
    return found.step->contains(member) && !found.after_pivot && !found.in_handler;
  };
}

}  // namespace

std::vector<FaultKind> time_faults() {
  return {
      {"timeout-shorter-than-attempt",
       "A step's timeout is shorter than one attempt",
       {"E218"},
       [](const Json& d) {
         return change_each(d, is_early_action, [](Json& step) {
           step["timeout"] = "2s";
           step["attemptTimeout"] = "10s";
         });
       }},
      {"retries-exceed-timeout",
       "A step's waits between attempts do not fit its timeout",
       {"W233"},
       [](const Json& d) {
         return change_each(d, is_early_action, [](Json& step) {
           step["retry"] = {
               {"maxAttempts", 4}, {"delay", "40s"}, {"maxDelay", "2m"}, {"jitter", "none"}};
           step["timeout"] = "1m";
         });
       }},
      {"step-exceeds-saga-timeout",
       "The saga's timeout is shorter than that of a step",
       {"E218"},
       [](const Json& d) {
         return change_around(d, is_early_action, [](Json& changed, const FoundStep& found) {
           changed["timeout"] = "1s";
           changed[found.at]["timeout"] = "1m";
         });
       }},
      {"wait-exceeds-saga-timeout",
       "A wait is longer than the saga's timeout",
       {"E218"},
       [](const Json& d) {
         return change_around(d, early("wait"), [](Json& changed, const FoundStep& found) {
           changed["timeout"] = "1h";
           changed[found.at]["wait"]["timeout"] = "4h";
         });
       }},
      {"sleep-exceeds-saga-timeout",
       "A sleep is longer than the saga's timeout",
       {"E218", "unreached"},
       [](const Json& d) {
         return change_around(d, early("sleep"), [](Json& changed, const FoundStep& found) {
           changed["timeout"] = "1h";
           changed[found.at]["sleep"] = {{"for", "2h"}};
         });
       }},
      {"completion-exceeds-saga-timeout",
       "A later answer may come after the saga's timeout",
       {"E218"},
       [](const Json& d) {
         return change_around(
             d,
             [](const FoundStep& found) {
               return is_early_action(found) && found.step->contains("completion");
             },
             [](Json& changed, const FoundStep& found) {
               changed["timeout"] = "1h";
               changed[found.at]["completion"]["timeout"] = "30h";
             });
       }},
      {"limited-retries-after-pivot",
       "A step after the pivot is given up after one attempt",
       {"W232"},
       [](const Json& d) {
         return change_each(
             d,
             [](const FoundStep& found) {
               return is_retryable_after_pivot(found) && !found.step->contains("retry");
             },
             [](Json& step) {
               step["retry"] = {{"maxAttempts", 1}};
             });
       }},
  };
}

}  // namespace backstitch::test
