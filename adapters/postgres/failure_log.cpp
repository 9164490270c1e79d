#include "failure_log.hpp"

#include <utility>

#include <backstitch/postgres/passwords.hpp>

namespace backstitch::postgres {
namespace {

constexpr std::chrono::seconds line_every{1};

std::string class_of(const Failure& failure) {
  if (failure.refusal) return "refused";
  return failure.sqlstate.empty() ? "none" : failure.sqlstate.substr(0, 2);
}

}  // namespace

void FailureLog::note(std::string_view lane, std::string_view statement, const Failure& failure) {
  std::size_t left_out = 0;
  {
    const std::lock_guard lock(mutex_);
    ++counts_[class_of(failure)];
    if (observer_ == nullptr) return;
    Line& line =
        lines_[std::string(lane) + '\n' + std::string(statement) + '\n' + failure.sqlstate];
    const auto now = std::chrono::steady_clock::now();
    if (now < line.next) {
      ++line.left_out;
      return;
    }
    line.next = now + line_every;
    left_out = std::exchange(line.left_out, 0);
  }
  const bool is_usual = failure.kind == FailureKind::retry;
  observer_->note(is_usual ? engine::Level::info : engine::Level::warning, "database-error",
                  {{"lane", std::string(lane)},
                   {"statement", std::string(statement)},
                   {"sqlstate", failure.sqlstate},
                   {"what", without_passwords(failure.message)},
                   {"leftOut", std::to_string(left_out)}});
}

std::map<std::string, std::uint64_t> FailureLog::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace backstitch::postgres
