#include "follow.hpp"
#include "member_text.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>

#include <backstitch/base/time.hpp>

#include "timeline.hpp"

namespace backstitch::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds pause_min{10};
constexpr std::chrono::milliseconds pause_max{200};

/// What a person in front of the terminal waits for, if it is the participant: empty if not.
std::string awaited_participant(const Json& saga) {
  const Json why = saga.value("why", Json());
  if (!why.is_object()) return {};
  const std::string code = text_of(why, "code");
  if (code == "call-held")
    return ", waiting for the participant, to which no connection can be made";
  const auto next = parse_rfc3339(text_of(why, "nextAttemptAt"));
  if (code != "retry-scheduled" || !next) return {};
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  const auto left = std::chrono::ceil<std::chrono::seconds>(*next - now);
  return ", waiting for the participant, next attempt in " +
         to_text(std::max(left, std::chrono::seconds{0}));
}

void show_progress(const Terminal& terminal, const Json& saga, Clock::duration passed) {
  terminal.progress(terminal.paint(Style::accent, saga.value("status", "")) + "  for " +
                    to_text(std::chrono::floor<std::chrono::seconds>(passed)) +
                    awaited_participant(saga));
}

}  // namespace

int exit_code_of_saga(const Json& saga) {
  const std::string status = saga.value("status", "RUNNING");
  if (status == "COMPLETED") return exit_done;
  return status == "RUNNING" || status == "COMPENSATING" ? exit_undecided : exit_bad;
}

Result<Json> follow_saga(const Global& global, client::Client& client, const std::string& id,
                         std::optional<Duration> duration, const InterruptWatch& interrupt,
                         const std::function<Result<Done>(const Json& saga)>& on_read) {
  const auto began = Clock::now();
  // A short saga is not kept waiting, and a long one costs few readings.
  std::chrono::milliseconds pause = pause_min;
  while (true) {
    auto saga = client.saga(id);
    if (!saga) return saga;
    global.terminal.clear_progress();
    if (const auto read = on_read(*saga); !read) return read.error();
    const auto passed = Clock::now() - began;
    if (exit_code_of_saga(*saga) != exit_undecided || interrupt.is_interrupted() ||
        (duration && passed >= *duration)) {
      return saga;
    }
    show_progress(global.terminal, *saga, passed);
    const auto left =
        duration ? std::chrono::ceil<std::chrono::milliseconds>(*duration - passed) : pause_max;
    std::this_thread::sleep_for(std::min(pause, left));  // poll
    pause = std::min(pause * 2, pause_max);
  }
}

void print_how_to_go_on(const Global& global, const Json& saga, const InterruptWatch& interrupt) {
  print(stderr, "%s; the saga goes on. To wait for its end: %s\n",
        interrupt.is_interrupted() ? "Interrupted" : "No end in this time",
        global.command_line("watch " + text_of(saga, "id")).c_str());
}

}  // namespace backstitch::app
