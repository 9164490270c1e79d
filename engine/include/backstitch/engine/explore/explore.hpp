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
/// Data is made up. A condition of which the data reaches one arm only is taken both ways all the
/// same; a story that needs such an arm is *assumed*: it may be impossible.
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
  std::vector<Json> inputs{};  ///< admitted ones, to start with beside those that are made up
};

/// One way a saga can end. Ends with the same status for the same reason are one.
struct Ending {
  SagaStatus status = SagaStatus::completed;
  std::string why;        ///< `CARD_DECLINED at authorise`; empty when completed
  bool odd_body = false;  ///< after an answer with an empty body, or a page in place of it
  bool assumed = false;   ///< every story that leads there is
  std::uint64_t count = 0;
  std::vector<std::string> story;  ///< the shortest
};

struct Violation {
  std::string promise;  ///< I1, I3, I4, I5, I6, I9 or `expression`
  std::string what;
  bool assumed = false;
  std::vector<std::string> story;  ///< the shortest counterexample, move by move
};

struct Exploration {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  /// Every way was followed to its end, and nothing of the definition was left unreached. False,
  /// too, if the data that was made up had to be cut, or no input was found.
  bool complete = true;
  std::vector<Ending> endings;
  std::vector<Violation> violations;
  std::vector<std::string> unreached;    ///< steps, cases and catches no way came to
  std::vector<std::string> assumptions;  ///< conditions of which one arm had to be assumed
  std::vector<std::string> notes;        ///< what was not explored, and why
};

Exploration explore(const Program& program, const Options& options = {});

}  // namespace backstitch::engine::explore
