#include <algorithm>

#include <backstitch/contract_check/contract_check.hpp>

// The promises in words, and the report as JSON.

namespace backstitch::contract_check {
namespace {

struct Words {
  const char* spelling;
  const char* clause;  ///< of docs/participant-contract.md
  const char* title;
  const char* advice;
};

Words words_of(Promise promise) {
  switch (promise) {
    case Promise::repeat:
      return {"repeat", "1.1", "the action again: the same answer",
              "keep the answer under Idempotency-Key and give it again instead of working again"};
    case Promise::at_once:
      return {"at-once", "1.2", "two copies of the action at once",
              "let the second copy wait for the first, or answer 425 or 503; take the key before "
              "the work begins"};
    case Promise::overtaken:
      return {"overtaken", "1.2", "a copy that overtakes the first",
              "let the second copy wait for the first, or answer 425 or 503; never refuse it"};
    case Promise::cut_off:
      return {"cut-off", "1.3", "the answer lost, the action again",
              "commit the work and its answer together, whether or not the answer can be sent; a "
              "repetition that overtakes the work waits for it or is told 425 or 503"};
    case Promise::key_case:
      return {"key-case", "1.4", "a key in another case is another key",
              "compare keys byte for byte: a column of keys needs a case-sensitive collation"};
    case Promise::undo_of_nothing:
      return {"undo-of-nothing", "2.1", "an undo of nothing succeeds",
              "answer 2xx to an undo of a key that never came: there is nothing to undo"};
    case Promise::late_action:
      return {"late-action", "2.2", "an action after that is refused",
              "remember the key of every undo, and answer 409 or 410 to an action with it"};
    case Promise::undo_overtakes:
      return {"undo-overtakes", "2.2", "an undo that overtakes the action",
              "remember the key of every undo, and look it up when the request is complete"};
    case Promise::undo_during:
      return {"undo-during-action", "2.3", "an undo while the action runs",
              "let the undo wait for the action, or answer 425 or 503; else refuse the action "
              "where it commits"};
    case Promise::undo:
      return {"undo", "3.1", "its undo succeeds",
              "find what was done by the key in Saga-Compensates, take it back, answer 2xx"};
    case Promise::undo_again:
      return {"undo-again", "3.2", "the undo again succeeds",
              "answer 2xx to an undo that was done before"};
    case Promise::action_after:
      return {"action-after-undo", "3.3", "the action after its undo does nothing",
              "answer 409, or what the first call was answered; do not work again"};
    case Promise::in_time:
      return {"in-time", "4.4", "answers come in time",
              "answer sooner, answer 202 and call back, or raise attemptTimeout"};
    case Promise::marked:
      return {"marked", "4.5", "every answer carries its mark",
              "set it where every answer passes, those of the framework's own errors too"};
    case Promise::not_stored:
      return {"not-stored", "5.6", "no cache keeps its answers",
              "answer with Cache-Control: no-store"};
    case Promise::probe:
      return {"probe", "5.1", "a probe finds what was done",
              "answer the probe of a key that was done as the action was answered"};
    case Promise::seal:
      return {"seal", "5.2", "a probe that finds nothing seals the key",
              "when a probe finds nothing, remember its key and refuse a later action with 409; or "
              "take \"sealed\" out of the definition"};
    case Promise::seal_during:
      return {"seal-during-action", "5.2", "it seals the key of an action that is in flight",
              "let the probe wait for the action, or refuse the action where it commits; or take "
              "\"sealed\" out of the definition"};
    case Promise::router:
      return {"router-404", "5.3", "a router's 404 is not taken for \"not done\"",
              "let the probe's failure rule read what only the participant says, as `\"when\": "
              "\"${response.body.error == 'NOT_SEEN'}\"`"};
    case Promise::poll:
      return {"poll", "5.4", "a poll finds the answer, and again",
              "keep the answer of an accepted action and give it to every poll"};
    case Promise::callback:
      return {"callback", "5.5", "the answer is posted to the callback address",
              "post the answer to the address in Saga-Callback"};
    case Promise::sub_saga:
      return {"sub-saga", "", "the sub-saga's requests", ""};
  }
  return {"", "", "", ""};
}

Json pair_json(const Finding& finding) {
  Json json{{"step", finding.step},
            {"request", to_text(finding.request)},
            {"promise", to_text(finding.promise)},
            {"clause", clause_of(finding.promise)}};
  if (*clause_of(finding.promise) == '\0') json["clause"] = nullptr;
  return json;
}

Json checked_json(const Finding& finding) {
  Json json = pair_json(finding);
  json["result"] = to_text(finding.standing);
  if (!finding.came.empty()) json["came"] = finding.came;
  if (finding.standing != Standing::broken) return json;
  json["expected"] = finding.expected;
  json["advice"] = advice_of(finding.promise);
  return json;
}

Json unchecked_json(const Finding& finding) {
  Json json = pair_json(finding);
  json["reason"] = finding.reason;
  if (!finding.accepted_by.empty()) json["by"] = finding.accepted_by;
  return json;
}

}  // namespace

const char* to_text(Promise promise) {
  return words_of(promise).spelling;
}

const char* title_of(Promise promise) {
  return words_of(promise).title;
}

const char* clause_of(Promise promise) {
  return words_of(promise).clause;
}

const char* advice_of(Promise promise) {
  return words_of(promise).advice;
}

const char* to_text(RequestKind request) {
  switch (request) {
    case RequestKind::action:
      return "action";
    case RequestKind::compensation:
      return "compensation";
    case RequestKind::probe:
      return "probe";
    case RequestKind::poll:
      return "poll";
    case RequestKind::callback:
      return "callback";
    case RequestKind::sub_saga:
      return "sub-saga";
  }
  return "";
}

const char* to_text(Standing standing) {
  switch (standing) {
    case Standing::kept:
      return "kept";
    case Standing::broken:
      return "broken";
    case Standing::not_checked:
      return "not-checked";
  }
  return "";
}

const char* to_text(Conclusion conclusion) {
  switch (conclusion) {
    case Conclusion::all_checked:
      return "all-checked";
    case Conclusion::broken:
      return "broken";
    case Conclusion::unreachable:
      return "unreachable";
    case Conclusion::not_all_checked:
      return "not-all-checked";
  }
  return "";
}

std::size_t Report::count(Standing standing) const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const Finding& finding) { return finding.standing == standing; }));
}

std::size_t Report::open() const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.standing == Standing::not_checked && finding.accepted_by.empty();
      }));
}

Conclusion Report::conclusion() const {
  if (count(Standing::broken) > 0) return Conclusion::broken;
  if (open() == 0) return Conclusion::all_checked;
  return unreachable.empty() ? Conclusion::not_all_checked : Conclusion::unreachable;
}

Json to_json(const Report& report) {
  Json services = Json::object();
  for (const auto& [name, url] : report.services) services[name] = url;
  Json checked = Json::array();
  Json broken = Json::array();
  Json not_checked = Json::array();
  Json accepted = Json::array();
  for (const Finding& finding : report.findings) {
    if (finding.standing == Standing::not_checked) {
      (finding.accepted_by.empty() ? not_checked : accepted).push_back(unchecked_json(finding));
      continue;
    }
    checked.push_back(checked_json(finding));
    if (finding.standing == Standing::broken) broken.push_back(checked_json(finding));
  }
  return {{"definition", report.definition},
          {"conclusion", to_text(report.conclusion())},
          {"services", std::move(services)},
          {"calls", report.calls},
          {"pairs", report.findings.size()},
          {"checked", std::move(checked)},
          {"broken", std::move(broken)},
          {"notChecked", std::move(not_checked)},
          {"accepted", std::move(accepted)},
          {"unreachable", report.unreachable},
          {"left", report.left}};
}

}  // namespace backstitch::contract_check
