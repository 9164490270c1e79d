#pragma once
/// Explores every way a saga can go, with the machine that runs it. Pure: no clock, no I/O; who
/// wants a limit of time gives it as a question that is asked now and then.
///
/// How: breadth first over positions. A position is a SagaState together with what each participant
/// knows of each step (unseen, perhaps done, done, refused, undone). From each position every move
/// is made: each answer to each call on its way, each timer that runs, a crash, a cancellation,
/// each signal, callback and end of a child, an operator's retry. decide() says what comes of it, a
/// judge that shares no code with the recovery says whether the promises hold, and the events are
/// encoded, decoded and folded again. The first way to a position is a shortest one.
///
/// What stands for what, so that the positions are finitely many: see docs/verify.md.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine::explore {

struct Counts {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint64_t waiting = 0;  ///< found and not yet gone on from
};

struct Options {
  std::uint64_t states_max = 1'000'000;
  /// Asked every thousand states or so; false: stop here.
  std::function<bool(const Counts&)> go_on{};
};

/// One way a saga can end. Ends with the same status for the same reason are one.
struct Ending {
  SagaStatus status = SagaStatus::completed;
  std::string why;        ///< `CARD_DECLINED at authorise`; empty when completed
  bool odd_body = false;  ///< after an answer with an empty body, or a page in place of it
  std::uint64_t count = 0;
  std::vector<std::string> story;  ///< the shortest
};

struct Violation {
  std::string promise;  ///< I1, I3, I4, I5, I6, I9 or `expression`
  std::string what;
  std::vector<std::string> story;  ///< the shortest counterexample, move by move
};

struct Exploration {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  bool complete = true;  ///< every way was followed to its end
  std::vector<Ending> endings;
  std::vector<Violation> violations;
  std::vector<std::string> notes;  ///< what was not explored, and why
};

Exploration explore(const Program& program, const Options& options = {});

}  // namespace backstitch::engine::explore
