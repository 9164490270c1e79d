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

void show_progress(const Terminal& terminal, const std::string& status, Clock::duration passed) {
  terminal.progress(terminal.paint(Style::accent, status) + "  for " +
                    to_text(std::chrono::floor<std::chrono::seconds>(passed)));
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
    show_progress(global.terminal, saga->value("status", ""), passed);
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
