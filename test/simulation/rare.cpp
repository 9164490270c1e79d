#include "rare.hpp"

namespace backstitch::simulation {
namespace {

constexpr std::array<std::string_view, Coverage::size> names{
    "an append was written and its answer came late",
    "an append was stuck for longer than a lease",
    "an append was fenced",
    "an append was fenced after a pause",
    "an append met a sequence that it did not expect",
    "a batch of a dead node was written",
    "a batch of a dead node was lost",
    "a batch of a dead node was fenced",
    "a node was killed with calls on their way",
    "a node came back under its name",
    "a node died for good",
    "a node was stopped in good order",
    "a node was paused for longer than its lease",
    "shards of one node were taken over by another",
    "shards were handed over",
    "a command went through the inbox",
    "a node gave up acting because it could not renew",
    "a renewal took place and its answer was lost",
    "a load failed",
    "the database could not be reached",
    "the database's clock jumped forward",
    "the database's clock jumped backward",
    "a request was lost",
    "an answer was lost",
    "a request arrived twice",
    "an answer came after its attempt was given up",
    "an action that came after its undo was refused",
    "an undo came for an action that was never seen",
    "an undo came again",
    "a participant refused",
    "a sealed probe closed a key",
    "a call was accepted, and answered by callback",
    "a callback was told again",
    "a pending call was settled by a poll",
    "a step whose effect was unknown was undone",
    "a saga was COMPLETED",
    "a saga was FAILED",
    "a saga was FAILED_INCOMPLETE",
    "a pivot was passed",
    "a try caught a failure",
    "iterations were undone",
    "branches were undone",
    "failure handlers ran",
    "a saga was cancelled",
    "a deadline passed",
    "a signal came before its wait",
    "a signal was consumed",
    "a wait timed out",
    "a saga was taken over",
    "a saga was suspended",
    "a saga was suspended because its nodes died",
    "an operator's retry was taken",
    "an operator suspended a saga",
    "a pending answer was given up because the saga was to stop",
    "a callback came too late",
    "a compensation was begun beside a stuck one",
    "an operator's skip was taken",
    "an operator's resolve was taken",
    "a sub-saga was completed",
    "a completed sub-saga was undone",
    "a start was repeated and gave the same saga",
    "a start under a used key was refused",
    "a start was written and its answer lost",
    "a saga was started by SQL",
};

}  // namespace

std::string_view name_of(Rare path) {
  return names.at(static_cast<std::size_t>(path));
}

}  // namespace backstitch::simulation
