#include "campaign.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "simulation.hpp"

namespace backstitch::simulation {
namespace {

/// What the workers share: a page of memory, so that it outlives them.
struct Board {
  std::atomic<std::uint64_t> next;
  std::atomic<std::uint64_t> violated;
  std::atomic<std::uint64_t> sagas;
  std::atomic<std::uint64_t> appends;
  std::atomic<std::uint64_t> virtual_millis;
  std::atomic<std::uint64_t> reached[Coverage::size];
  std::atomic<std::uint64_t> playing[64];
};
constexpr std::size_t workers_max = 64;
/// Whoever finds more than this has found enough.
constexpr std::uint64_t violated_max = 20;

Board& shared_board() {
  void* page =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::runtime_error("no memory to share");
  return *new (page) Board{};
}

void say(const std::string& text) {
  // One write a line, so that the lines of several processes do not mix.
  const std::string line = text + "\n";
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(3);
}

void work(Board& board, const Campaign& campaign, std::size_t worker) {
  Corpus corpus;
  Coverage coverage;
  const std::uint64_t end = campaign.from + campaign.seeds;
  for (;;) {
    const std::uint64_t seed = board.next.fetch_add(1);
    if (seed >= end || board.violated.load() >= violated_max) break;
    board.playing[worker] = seed;
    const Outcome outcome = simulate(seed, corpus, false);
    coverage.add(outcome.coverage);
    board.sagas += outcome.sagas;
    board.appends += outcome.appends;
    board.virtual_millis += static_cast<std::uint64_t>(outcome.virtual_millis);
    if (outcome.violations.empty()) continue;
    ++board.violated;
    say("seed " + std::to_string(seed) + ": " + outcome.violations.front());
  }
  board.playing[worker] = 0;
  for (std::size_t i = 0; i < Coverage::size; ++i)
    board.reached[i] += coverage.of(static_cast<Rare>(i));
}

bool report(const Board& board, const Campaign& campaign, double seconds, std::ostream& out) {
  bool complete = true;
  for (std::size_t i = 0; i < Coverage::size; ++i) {
    const auto path = static_cast<Rare>(i);
    out << "  " << board.reached[i] << "\t" << name_of(path) << '\n';
    if (board.reached[i] > 0 || campaign.seeds < seeds_for_all_paths) continue;
    complete = false;
    out << "  never reached: " << name_of(path) << '\n';
  }
  out << campaign.seeds << " seeds in " << seconds << " s: " << board.sagas << " sagas, "
      << board.appends << " appends, " << board.virtual_millis / 3'600'000
      << " hours of virtual time, " << board.violated << " violated\n";
  return complete;
}

}  // namespace

bool run(const Campaign& campaign, std::ostream& out) {
  Board& board = shared_board();
  board.next = campaign.from;
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t workers = std::min(campaign.workers, workers_max);
  std::vector<pid_t> children;
  for (std::size_t i = 0; i < workers; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      work(board, campaign, i);
      _exit(0);
    }
    children.push_back(child);
  }
  bool well = true;
  for (std::size_t i = 0; i < children.size(); ++i) {
    int status = 0;
    waitpid(children[i], &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    well = false;
    out << "seed " << board.playing[i] << ": brought its process down, status " << status << '\n';
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const bool complete = report(board, campaign, took.count(), out);
  return well && complete && board.violated == 0;
}

}  // namespace backstitch::simulation
