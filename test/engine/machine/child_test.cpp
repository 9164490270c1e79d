#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;
using engine::SagaStatus;

namespace {

std::string child(const std::string& more = "", const std::string& name = "sub") {
  return R"({"name":")" + name +
         R"(","saga":{"name":"t.child","version":3,"input":{"n":"${input.n}"},"businessKey":"k-${input.n}"})" +
         more + "}";
}

Play with_child(const std::string& more = "") {
  Play play(saga(step("a") + "," + child(more) + "," + step("b")), R"({"n":7})");
  play.start();
  play.answer("a", 200);
  return play;
}

/// The child, completed; and a step after it refused.
Play undoing(const std::string& more = "") {
  auto play = with_child(more);
  play.child("sub", SagaStatus::completed, "{}");
  play.answer("b", 409);
  return play;
}

}  // namespace

TEST_CASE("a child is started with its input and key, and its output is the step's") {
  Play play(saga(step("a") + "," + child(), R"(,"output":"${steps.sub.output}")"), R"({"n":7})");
  play.start();
  CHECK(play.answer("a", 200) == "StepSucceeded a, ChildScheduled sub t.child | start child sub");
  const auto& started = *play.state.steps.at("sub").child;
  CHECK(started.definition == "t.child");
  CHECK(started.version == 3);
  CHECK(started.input == Json{{"n", 7}});
  CHECK(started.business_key == "k-7");
  CHECK(started.id != play.state.id);
  CHECK(started.id.shard() == play.state.id.shard());
  CHECK(play.child("sub", SagaStatus::running) == "");
  CHECK(play.child("sub", SagaStatus::completed, R"({"x":1})") ==
        "StepSucceeded sub, SagaEnded COMPLETED");
  CHECK(play.state.output == Json{{"x", 1}});
  CHECK(play.child("sub", SagaStatus::completed, R"({"x":2})") == "");
}

TEST_CASE("two children started in one transition are two sagas") {
  Play play(saga(R"({"name":"p","parallel":{"branches":{"l":[)" + child() + R"(],"r":[)" +
                 child("", "sub2") + "]}}}"),
            R"({"n":1})");
  play.start();
  CHECK(play.state.steps.at("p/l/sub").child->id != play.state.steps.at("p/r/sub2").child->id);
}

TEST_CASE("a failed child is a failed step with nothing to undo") {
  auto play = with_child();
  CHECK(play.child("sub", SagaStatus::failed, "null", "NO_FUNDS") ==
        "StepFailed sub NO_FUNDS, CompensationStarted NO_FUNDS, StepCompensationScheduled a | call "
        "a compensate #1");
  CHECK(play.state.failure->step == "sub");
  CHECK(play.state.failure->details["child"] == play.state.steps.at("sub").child->id.text());
  CHECK(play.state.failure->details["step"] == "inner");
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
}

TEST_CASE("a child's failure can be caught") {
  Play play(saga(R"({"name":"t","try":{"steps":[)" + child() +
                 R"(],"catch":[{"codes":["X"],"steps":[)" + step("z") + "]}]}}"),
            R"({"n":1})");
  play.start();
  CHECK(play.child("t/sub", SagaStatus::failed, "null", "X") ==
        "StepFailed t/sub X, TryFailed t X, CatchStarted t #0, StepScheduled t/z | call t/z "
        "forward #1");
}

TEST_CASE("a suspended child suspends its parent, until it goes on") {
  auto play = with_child();
  CHECK(play.child("sub", SagaStatus::suspended, "null", "RETRIES_EXHAUSTED") ==
        "SagaSuspended sub CHILD_SUSPENDED");
  CHECK(play.child("sub", SagaStatus::suspended, "null", "RETRIES_EXHAUSTED") == "");
  CHECK(play.resolve_as("sub", engine::Resolution::done) == "refused step-not-resolvable");
  SUBCASE("by itself") {
    CHECK(play.child("sub", SagaStatus::running) == "OperatorActed sub child");
    CHECK(play.status() == "RUNNING");
    CHECK(play.child("sub", SagaStatus::completed) ==
          "StepSucceeded sub, StepScheduled b | call b forward #1");
  }
  SUBCASE("and straight to its end") {
    CHECK(play.child("sub", SagaStatus::completed) ==
          "OperatorActed sub child, StepSucceeded sub, StepScheduled b | call b forward #1");
  }
  SUBCASE("a retry of the parent is handed on to the child") {
    CHECK(play.retry() == "OperatorActed sub retry-child | retry child sub");
    CHECK(play.status() == "SUSPENDED");
    CHECK(play.child("sub", SagaStatus::running) == "OperatorActed sub child");
  }
  SUBCASE("a cancel is handed on, too") {
    CHECK(play.cancel() ==
          "CancelRequested, OperatorActed sub cancel, ChildStopped sub | cancel child sub");
    CHECK(play.child("sub", SagaStatus::failed, "null", "CANCELLED") ==
          "StepFailed sub CANCELLED, CompensationStarted CANCELLED, StepCompensationScheduled a | "
          "call a compensate #1");
  }
  SUBCASE("what can be undone is not skipped") {
    CHECK(play.skip("sub") == "refused step-not-skippable");
  }
}

TEST_CASE("a child that left something behind suspends, and the saga ends incomplete") {
  auto play = with_child();
  CHECK(play.child("sub", SagaStatus::failed_incomplete, "null", "X") ==
        "SagaSuspended sub CHILD_INCOMPLETE");
  CHECK(play.child("sub", SagaStatus::failed_incomplete, "null", "X") == "");
  SUBCASE("gone on from by a retry") {
    CHECK(play.retry() ==
          "OperatorActed sub retry, StepFailed sub CHILD_INCOMPLETE, CompensationStarted "
          "CHILD_INCOMPLETE, StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("or by a cancel") {
    CHECK(play.cancel().find("CompensationStarted CANCELLED") != std::string::npos);
  }
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED_INCOMPLETE");
}

TEST_CASE("a child that fails with a code that looks like the engine's has left nothing behind") {
  auto play = with_child();
  CHECK(play.child("sub", SagaStatus::failed, "null", "CHILD_INCOMPLETE") ==
        "StepFailed sub CHILD_INCOMPLETE, CompensationStarted CHILD_INCOMPLETE, "
        "StepCompensationScheduled a | call a compensate #1");
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
}

TEST_CASE("a cancel is carried down, and the child's end decides") {
  auto play = with_child();
  CHECK(play.cancel() == "CancelRequested, ChildStopped sub | cancel child sub");
  CHECK(play.cancel() == "");
  CHECK(play.child("sub", SagaStatus::compensating) == "");
  SUBCASE("undone: nothing left of it") {
    CHECK(play.child("sub", SagaStatus::failed, "null", "CANCELLED") ==
          "StepFailed sub CANCELLED, CompensationStarted CANCELLED, StepCompensationScheduled a | "
          "call a compensate #1");
  }
  SUBCASE("completed all the same: undone with the rest") {
    CHECK(play.child("sub", SagaStatus::completed) ==
          "StepSucceeded sub, CompensationStarted CANCELLED, ChildUndoScheduled sub | undo child "
          "sub");
  }
}

TEST_CASE("a child that was told to stop and is suspended is told again by a cancel") {
  auto play = with_child(R"(,"timeout":"1m")");
  play.wake();
  play.child("sub", SagaStatus::suspended, "null", "X");
  CHECK(play.cancel() == "CancelRequested, OperatorActed sub cancel | cancel child sub");
  CHECK(play.child("sub", SagaStatus::suspended, "null", "X") ==
        "SagaSuspended sub CHILD_SUSPENDED");
}

TEST_CASE("a suspended child that is on its way back already answers a cancel with its state") {
  Play play(saga(step("a") + "," + step("b")));
  play.start_as_child();
  play.answer("a", 200);
  play.answer("b", 409);
  play.now += 25h;
  CHECK(play.undo("a", 500) ==
        "AttemptFailed a compensate #1 unknown, SagaSuspended a COMPENSATION_FAILED | tell parent");
  CHECK(play.cancel() == " | tell parent");
}

TEST_CASE("a failed branch beside it stops a child") {
  Play play(saga(R"({"name":"p","parallel":{"branches":{"l":[)" + child() + R"(],"r":[)" +
                 step("x") + "]}}}"),
            R"({"n":1})");
  play.start();
  CHECK(play.answer("p/r/x", 409) ==
        "StepFailed p/r/x HTTP_409, ChildStopped p/l/sub | cancel child p/l/sub");
  CHECK(play.child("p/l/sub", SagaStatus::failed, "null", "CANCELLED") ==
        "StepFailed p/l/sub CANCELLED, StepFailed p HTTP_409, CompensationStarted HTTP_409, "
        "SagaEnded FAILED");
  CHECK(play.state.failure->details.is_null());
}

TEST_CASE("the timeout of the step stops the child, once") {
  auto play = with_child(R"(,"timeout":"1m")");
  CHECK(play.wake() == "ChildStopped sub | cancel child sub");
  CHECK(play.tick(1min) == "");
  SUBCASE("stopped") {
    CHECK(play.child("sub", SagaStatus::failed, "null", "CANCELLED")
              .starts_with("StepFailed sub STEP_TIMEOUT, CompensationStarted STEP_TIMEOUT"));
    CHECK(play.state.failure->failure_class == "timeout");
  }
  SUBCASE("completed just in time") {
    CHECK(play.child("sub", SagaStatus::completed) ==
          "StepSucceeded sub, StepScheduled b | call b forward #1");
  }
}

TEST_CASE("auto: the completed child is reopened and undone, in its place in the order") {
  auto play = undoing();
  CHECK(engine::failure_of_undo(*play.program.definition, play.state, "sub")->code == "HTTP_409");
  CHECK(play.child("sub", SagaStatus::completed) == "");
  CHECK(play.child("sub", SagaStatus::compensating) == "");
  SUBCASE("undone") {
    CHECK(play.child("sub", SagaStatus::failed) ==
          "StepCompensated sub, StepCompensationScheduled a | call a compensate #1");
    CHECK(play.child("sub", SagaStatus::failed) == "");
  }
  SUBCASE("suspended on the way, handed on, and done") {
    CHECK(play.child("sub", SagaStatus::suspended, "null", "COMPENSATION_FAILED") ==
          "SagaSuspended sub COMPENSATION_FAILED");
    CHECK(play.child("sub", SagaStatus::suspended, "null", "COMPENSATION_FAILED") == "");
    CHECK(play.retry() == "OperatorActed sub retry-child | retry child sub");
    CHECK(play.child("sub", SagaStatus::compensating) == "OperatorActed sub child");
    CHECK(play.child("sub", SagaStatus::failed).starts_with("StepCompensated sub"));
  }
  SUBCASE("incomplete: an operator looks, and the saga is incomplete") {
    CHECK(play.child("sub", SagaStatus::failed_incomplete) ==
          "SagaSuspended sub COMPENSATION_FAILED");
    play.skip("sub");
    CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED_INCOMPLETE");
  }
  SUBCASE("a node that dies asks again") {
    play.take_over();
    CHECK(engine::effects_to_repeat(play.state) ==
          std::vector<engine::Effect>{engine::UndoChild{"sub"}});
  }
}

TEST_CASE("a request instead of auto undoes the child by a call") {
  auto play = undoing(
      R"(,"compensation":{"service":"s","http":"DELETE /sub/${self.outcome}","retry":{"maxAttempts":1}})");
  CHECK(play.request("sub", engine::Phase::compensate).target == "/sub/succeeded");
  CHECK(engine::effects_to_repeat(play.state).empty());
  SUBCASE("done") {
    CHECK(play.undo("sub", 200) ==
          "StepCompensated sub, StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("given up, and sent again by an operator's retry") {
    CHECK(play.undo("sub", 500) ==
          "AttemptFailed sub compensate #1 unknown, SagaSuspended sub COMPENSATION_FAILED");
    CHECK(play.retry() ==
          "OperatorActed sub retry, AttemptStarted sub compensate #2 | call sub compensate #2");
  }
}

TEST_CASE("none waives the undo of a child") {
  CHECK(undoing(R"(,"compensation":"none")").state.steps.at("sub").status ==
        engine::StepStatus::compensation_skipped);
}

TEST_CASE("after a crash a child is started again, and asked to stop again") {
  auto play = with_child();
  for (int i = 0; i < 9; ++i) CHECK(play.take_over() == "Resumed");
  CHECK(engine::effects_to_repeat(play.state) ==
        std::vector<engine::Effect>{engine::StartChild{"sub"}});
  play.cancel();
  play.take_over();
  CHECK(engine::effects_to_repeat(play.state) ==
        std::vector<engine::Effect>{engine::CancelChild{"sub"}, engine::StartChild{"sub"}});
  play.child("sub", SagaStatus::failed, "null", "CANCELLED");
  CHECK(engine::effects_to_repeat(play.state).empty());
}

TEST_CASE("a child with a pivot is the parent's pivot") {
  Play play(saga(step("a") + "," + child(R"(,"kind":"pivot")") + "," + retryable("r")),
            R"({"n":1})");
  play.start();
  play.answer("a", 200);
  CHECK(play.cancel() == "refused pivot-passed");
  SUBCASE("completed") {
    play.child("sub", SagaStatus::completed);
    CHECK(play.state.pivot_passed);
    CHECK(play.answer("r", 409) == "AttemptFailed r forward #1 failure, SagaSuspended r HTTP_409");
  }
  SUBCASE("failed: back") {
    CHECK(play.child("sub", SagaStatus::failed, "null", "X").find("CompensationStarted X") !=
          std::string::npos);
  }
}

TEST_CASE("after the pivot a child that failed suspends, and a retry starts it anew") {
  Play play(saga(pivot("p") + "," + child(R"(,"kind":"readonly")")), R"({"n":1})");
  play.start();
  play.answer("p", 200);
  CHECK(play.child("sub", SagaStatus::failed, "null", "X") == "SagaSuspended sub X");
  CHECK(play.child("sub", SagaStatus::failed, "null", "X") == "");
  const SagaId first = play.state.steps.at("sub").child->id;
  SUBCASE("retry") {
    play.random += 99;
    CHECK(play.retry() == "OperatorActed sub retry, ChildScheduled sub t.child | start child sub");
    CHECK(play.state.steps.at("sub").child->id != first);
    CHECK(play.child("sub", SagaStatus::completed) == "StepSucceeded sub, SagaEnded COMPLETED");
  }
  SUBCASE("skip") {
    CHECK(play.skip("sub") == "OperatorActed sub skip, StepSkipped sub, SagaEnded COMPLETED");
  }
}

TEST_CASE("a child tells its parent of its end, its suspension, and when it goes on") {
  Play play(saga(pivot("p") + "," + retryable("r")));
  CHECK(play.start_as_child() == "SagaStarted, StepScheduled p | call p forward #1");
  play.answer("p", 200);
  CHECK(play.answer("r", 409) ==
        "AttemptFailed r forward #1 failure, SagaSuspended r HTTP_409 | tell parent");
  CHECK(play.retry() ==
        "OperatorActed r retry, AttemptStarted r forward #2 | tell parent | call r forward #2");
  CHECK(play.answer("r", 200) == "StepSucceeded r, SagaEnded COMPLETED | tell parent");
}

TEST_CASE("a completed child is reopened by its parent, undone, and tells of it") {
  Play play(saga(step("a") + "," + step("b")));
  play.start_as_child();
  CHECK(play.undone_by_parent("LATER") == "");
  play.answer("a", 200);
  play.answer("b", 200);
  CHECK(play.undone_by_parent("LATER") ==
        "SagaReopened LATER, StepCompensationScheduled b | call b compensate #1");
  CHECK(play.undone_by_parent("LATER") == "");
  play.take_over();
  play.undo("b", 200);
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED | tell parent");
  CHECK(play.state.failure->code == "LATER");
  CHECK(play.undone_by_parent("LATER") == " | tell parent");
}

TEST_CASE("what has passed its pivot is not reopened") {
  Play play(saga(pivot("p")));
  play.start_as_child();
  play.answer("p", 200);
  CHECK(play.undone_by_parent("LATER") == "refused pivot-passed");
}

TEST_CASE("sub-sagas are at most eight deep") {
  Play play(saga(child()), R"({"n":1})");
  CHECK(play.start_as_child(7) == "SagaStarted, ChildScheduled sub t.child | start child sub");
  Play deep(saga(child()), R"({"n":1})");
  CHECK(deep.start_as_child(8) ==
        "SagaStarted, StepFailed sub LIMIT_EXCEEDED, CompensationStarted LIMIT_EXCEEDED, SagaEnded "
        "FAILED | tell parent");
}
