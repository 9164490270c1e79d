#include "words.hpp"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include <backstitch/base/match.hpp>

#include "text.hpp"

namespace backstitch::dsl::graph {
namespace {

using Lines = std::vector<std::string>;

std::string words(const DurationField& field) {
  return std::visit(
      Match{[](const Duration& duration) { return backstitch::to_text(duration); },
            [](const Expression& expression) { return "${" + expression.source() + "}"; }},
      field);
}

/// A text as it was written; anything else as JSON.
std::string words(const Template& value) {
  const Json& source = value.source();
  return source.is_string() ? source.get<std::string>()
                            : source.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string listed(const std::vector<std::string>& texts, std::string_view between) {
  std::string out;
  for (const auto& text : texts) out.append(out.empty() ? "" : between).append(text);
  return out;
}

std::string method_word(Method method) {
  std::string word = to_text(method);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return word;
}

std::string completion_words(const Completion& completion) {
  const std::string how = completion.callback && completion.poll ? "callback or poll"
                          : completion.callback                  ? "callback"
                                                                 : "poll";
  return "answer by " + how + " within " + words(completion.timeout);
}

std::string concurrency_words(std::uint32_t concurrency) {
  return concurrency == 1 ? "one at a time" : "at most " + std::to_string(concurrency) + " at once";
}

/// What differs from the usual in how lanes and iterations run and are undone.
Lines run_words(OnBranchFailure on_failure, CompensationOrder order) {
  Lines lines;
  if (on_failure == OnBranchFailure::finish) lines.emplace_back("a failure lets the others finish");
  if (order == CompensationOrder::serial) lines.emplace_back("undone one at a time");
  return lines;
}

Lines parallel_words(const Parallel& block) {
  Lines lines;
  if (block.concurrency_max) lines.push_back(concurrency_words(*block.concurrency_max));
  for (auto& line : run_words(block.on_failure, block.compensation_order))
    lines.push_back(std::move(line));
  return lines;
}

Lines for_each_words(const ForEach& block) {
  Lines lines{block.as + " in " + block.in.source()};
  lines.push_back(concurrency_words(block.concurrency_max));
  for (auto& line : run_words(block.on_failure, block.compensation_order))
    lines.push_back(std::move(line));
  return lines;
}

Lines wait_words(const Wait& wait) {
  Lines lines{"signal " + listed(wait.signals, " or ")};
  lines.push_back("within " + words(wait.timeout) +
                  (wait.on_timeout == OnTimeout::fail ? ", else fails" : ", else goes on"));
  return lines;
}

Lines fail_words(const Fail& fail) {
  Lines lines{fail.code};
  if (fail.message) lines.push_back(words(*fail.message));
  return lines;
}

}  // namespace

std::string request_words(const Request& request, const std::string& service) {
  const std::string& of = request.service.empty() ? service : request.service;
  const std::string what = request.path ? method_word(request.method) + " " + words(*request.path)
                                        : request.operation + "()";
  return of.empty() ? what : of + ": " + what;
}

std::vector<std::string> body_words(const Step& step) {
  return std::visit(
      Match{[](const Action& action) {
              Lines lines{request_words(action.request, "")};
              if (action.completion) lines.push_back(completion_words(*action.completion));
              return lines;
            },
            [](const SubSaga& saga) {
              return Lines{saga.name + (saga.version ? " version " + std::to_string(*saga.version)
                                                     : ", active version")};
            },
            [](const Parallel& block) { return parallel_words(block); },
            [](const Switch&) { return Lines{}; },
            [](const ForEach& block) { return for_each_words(block); },
            [](const Try&) { return Lines{}; }, [](const Wait& wait) { return wait_words(wait); },
            [](const Sleep& sleep) {
              if (sleep.duration) return Lines{"for " + words(*sleep.duration)};
              return Lines{"until " + (sleep.until ? words(*sleep.until) : std::string())};
            },
            [](const Value& value) { return Lines{words(value.value)}; },
            [](const Fail& fail) { return fail_words(fail); }},
      step.body);
}

std::string undo_words(const Step& step) {
  const auto* action = std::get_if<Action>(&step.body);
  const bool is_saga = std::holds_alternative<SubSaga>(step.body);
  if (action == nullptr && !is_saga) return {};
  std::string automatic = is_saga ? "the whole sub-saga" : "";
  return std::visit(
      Match{[&](const NoCompensation&) {
              return step.kind_stated && step.kind != StepKind::compensatable ? "" : automatic;
            },
            [](const WaivedCompensation&) { return std::string(); },
            [&](const AutoCompensation&) { return automatic; },
            [&](const Compensation& undo) {
              const std::string& own = action == nullptr ? "" : action->request.service;
              // The service of the step is told beside; only another one is worth its name.
              Request request = undo.request;
              if (request.service == own) request.service.clear();
              return request_words(request, "") + (undo.when ? " when " + undo.when->source() : "");
            }},
      step.undo);
}

std::string about_words(const Step& step) {
  Lines lines;
  if (!step.description.empty()) lines.push_back(step.description);
  if (step.timeout) lines.push_back("must end within " + words(*step.timeout));
  if (const auto* action = std::get_if<Action>(&step.body); action != nullptr && action->probe) {
    const Probe& probe = *action->probe;
    lines.push_back("when unknown, asks " + request_words(probe.request, action->request.service) +
                    (probe.sealed ? " (sealed)" : ""));
  }
  return listed(lines, "; ");
}

std::string catch_words(const Catch& one) {
  Lines what = one.codes;
  what.insert(what.end(), one.classes.begin(), one.classes.end());
  return "catch " + (what.empty() ? std::string("any failure") : listed(what, ", ")) +
         (one.when ? " when " + one.when->source() : "");
}

}  // namespace backstitch::dsl::graph
