#include "service.hpp"

#include <cctype>

#include <nlohmann/json.hpp>

namespace backstitch::simulation {
namespace {

using What = LedgerEntry::What;

/// Chance that belongs to a key: what a participant thinks of a request does not change.
Dice dice_of(const std::string& key) {
  std::uint64_t mixed = 0xCBF29CE484222325ULL;
  for (const char c : key) mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return Dice(mixed);
}

constexpr const char* by_key = "/by-key/";
/// As the participant itself says it, and no router.
const Answer not_seen{404, {{"error", "NOT_SEEN"}}};

/// Who is asked there promises that "not seen" is for ever.
bool is_sealed(const Message& probe) {
  return probe.phase == "probe" &&
         (probe.target.find(by_key) != std::string::npos || probe.target.starts_with("/sealed/"));
}

}  // namespace

const char* word_for(What what) {
  switch (what) {
    case What::done:
      return "done";
    case What::replayed:
      return "replayed";
    case What::refused:
      return "refused";
    case What::refused_late:
      return "refused: too late";
    case What::accepted:
      return "accepted";
    case What::undone:
      return "undone";
    case What::undone_unseen:
      return "undone unseen";
    case What::undone_again:
      return "undone again";
    case What::sealed:
      return "sealed";
  }
  return "";
}

void Services::note(What what, const Message& message, const std::string& key) {
  ledger_.push_back({what, scene_.trace.millis(), message.service, key, message.key, message.saga,
                     message.path, message.phase,
                     message.method + " " + message.target + " " + message.body});
  if (scene_.trace.kept())
    scene_.trace.note(message.service, message.phase, " ", message.saga.substr(24), " ",
                      message.path, " #", message.attempt, " (", message.method, " ",
                      message.target, "): ", word_for(what));
}

std::optional<Answer> Services::turned_away() {
  if (!scene_.strikes(scene_.plan.participants.busy)) return std::nullopt;
  return Answer{scene_.dice.chance(50) ? 429 : 503, nullptr};
}

/// A second copy, a question or an undo meets a proxy, an expired token or a login page. It does
/// not for the first copy of an action: such a refusal is the truth.
std::optional<Answer> Services::stray(const Message& message) {
  const bool action = message.phase == "forward";
  const auto known = effects_.find(message.key);
  const bool is_seen = known != effects_.end() && known->second.stage != Stage::unseen;
  if (action && (message.attempt == 1 || !is_seen)) return std::nullopt;
  if (!scene_.strikes(scene_.plan.participants.strays)) return std::nullopt;
  scene_.coverage.reached(Rare::stray_answer);
  // The definitions of the corpus have rules for 404, 409 and 410.
  const int status = scene_.dice.pick({302, 307, 400, 401, 403, 405, 413});
  if (scene_.trace.kept())
    scene_.trace.note(message.service, message.phase, " ", message.saga.substr(24), " ",
                      message.path, " #", message.attempt, ": stray ", status);
  return Answer{status, "<!doctype html>", true};
}

Answer Services::handle(const Message& message) {
  if (const auto other = stray(message)) return *other;
  const auto& plan = scene_.plan.participants;
  // Routers decode `%2F` and find nothing there, or refuse it.
  const std::string path = message.target.substr(0, message.target.find('?'));
  if (path.find("%2F") != std::string::npos) return {404, "<h1>Not Found</h1>", true};
  const bool lies_open = scene_.strikes(plan.unknown);
  if (lies_open && scene_.dice.chance(50)) return {500, nullptr};
  Answer answer;
  if (message.phase == "forward")
    answer = act(message);
  else if (message.phase == "compensate")
    answer = undo(message);
  else
    answer = look_up(message);
  if (lies_open) return {500, nullptr};
  return answer;
}

Services::Effect& Services::effect_of(const std::string& key) {
  std::string column = key;
  for (char& c : column) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return effects_[column];
}

/// A key that comes with another request than before: after its first one was forgotten by the
/// engine. What was done under it stays done. The status is one that no rule of the corpus names
/// for the service.
std::optional<Answer> Services::other_request(Effect& effect, const Message& message) {
  const std::string request = message.method + " " + message.target + " " + message.body;
  if (effect.request.empty()) effect.request = request;
  if (effect.request == request) return std::nullopt;
  scene_.coverage.reached(Rare::key_with_other_request);
  scene_.trace.note(message.service, "has another request under ", message.key);
  return Answer{message.service == "payment-network" ? 402 : 422, {{"error", "KEY_REUSED"}}};
}

Answer Services::act(const Message& message) {
  Effect& effect = effect_of(message.key);
  if (const auto reused = other_request(effect, message)) return *reused;
  switch (effect.stage) {
    case Stage::undone:
    case Stage::closed:
      note(What::refused_late, message, message.key);
      scene_.coverage.reached(Rare::late_action_refused);
      return {409, {{"error", "undone"}}};
    case Stage::done:
      note(What::replayed, message, message.key);
      return effect.answer;
    case Stage::refused:
      note(What::refused, message, message.key);
      return effect.answer;
    case Stage::accepted:
      note(What::accepted, message, message.key);
      effect.callback = message.callback;
      return {202, {{"state", "PENDING"}}};
    case Stage::unseen:
      break;
  }
  const bool later = !message.callback.empty() &&
                     dice_of(message.key + "?").below(1'000) < scene_.plan.participants.pending;
  if (later) {
    effect.stage = Stage::accepted;
    effect.callback = message.callback;
    ++undecided_;
    note(What::accepted, message, message.key);
    scene_.outside.call_after(scene_.between(100, 40'000), [this, message] { decide(message); });
    return {202, {{"state", "PENDING"}}};
  }
  const bool refused = refuses(message.key);
  effect.stage = refused ? Stage::refused : Stage::done;
  effect.answer = refused ? refusal(message.key) : success(message.key);
  if (refused) scene_.coverage.reached(Rare::business_refusal);
  note(refused ? What::refused : What::done, message, message.key);
  return effect.answer;
}

void Services::decide(const Message& message) {
  --undecided_;
  Effect& effect = effect_of(message.key);
  if (effect.stage != Stage::accepted) return;
  const bool refused = refuses(message.key);
  effect.stage = refused ? Stage::refused : Stage::done;
  effect.answer = refused ? refusal(message.key) : success(message.key);
  note(refused ? What::refused : What::done, message, message.key);
  // Now and then nobody is told, and the poll has to find out.
  const bool polled = message.target.find("/bookings") != std::string::npos ||
                      message.target.find("polled") != std::string::npos;
  if (polled && scene_.faults && scene_.dice.chance(30)) return;
  post_(effect.callback, effect.answer);
}

Answer Services::undo(const Message& message) {
  Effect& effect = effect_of(message.compensates);
  const bool fails = scene_.strikes(scene_.plan.participants.undo_fails);
  if (fails && scene_.dice.chance(50)) return {scene_.dice.pick({409, 500, 503}), nullptr};
  const Stage before = effect.stage;
  const bool had_effect = before == Stage::done;
  if (had_effect || before == Stage::accepted) {
    effect.stage = Stage::undone;
    note(had_effect ? What::undone : What::undone_unseen, message, message.compensates);
  } else if (before == Stage::undone || before == Stage::closed) {
    note(What::undone_again, message, message.compensates);
    scene_.coverage.reached(Rare::undo_repeated);
  } else {
    effect.stage = Stage::closed;
    note(What::undone_unseen, message, message.compensates);
    scene_.coverage.reached(Rare::undo_of_unseen);
  }
  if (fails) return {500, nullptr};
  return {200, {{"n", 0}}};
}

Answer Services::look_up(const Message& message) {
  // A participant reads the key where it likes: from the path, if it is there.
  const auto in_path = message.target.find(by_key);
  const std::string key = in_path == std::string::npos
                              ? message.probes
                              : message.target.substr(in_path + std::string_view(by_key).size());
  Effect& effect = effect_of(key);
  switch (effect.stage) {
    case Stage::done:
      return effect.answer;
    case Stage::accepted:
      return {200, {{"state", message.phase == "poll" ? "PENDING" : "QUEUED"}}};
    case Stage::refused:
      // A poll is a question: that it is answered with a refusal would say nothing.
      if (message.phase == "poll") return {200, {{"state", "REFUSED"}}};
      return not_seen;
    case Stage::undone:
    case Stage::closed:
      return not_seen;
    case Stage::unseen:
      break;
  }
  if (!is_sealed(message)) return not_seen;
  effect.stage = Stage::closed;
  note(What::sealed, message, key);
  scene_.coverage.reached(Rare::sealed_probe_closed);
  return not_seen;
}

bool Services::refuses(const std::string& key) const {
  return dice_of(key).below(1'000) < scene_.plan.participants.refuses;
}

Answer Services::refusal(const std::string& key) {
  Dice dice = dice_of(key + "!");
  const int status = dice.pick({409, 409, 422, 402, 410});
  // Error pages have every shape.
  switch (dice.below(8)) {
    case 0:
      return {status, nullptr};
    case 1:
      return {status, "<html><body>Conflict\r\n</body></html>"};
    case 2:
      return {status, nlohmann::json::array({"refused", {{"reason", "none"}}})};
    case 3:
      return {status, 409};
    case 4:
      return {status, {{"reason", {{"code", 7}}}}};
    default:
      return {
          status,
          {{"state", "REFUSED"}, {"error", "refused"}, {"why", "taken"}, {"reason", "sold out"}}};
  }
}

/// One body that every step of the corpus can read what it needs from.
Answer Services::success(const std::string& key) {
  Dice dice = dice_of(key + "=");
  const std::string number = std::to_string(dice.below(1'000'000));
  return {200,
          {{"n", dice.below(10)},
           {"id", "id-" + number},
           {"state", "DONE"},
           {"priceCents", dice.between(100, 99'999)},
           {"discountCents", dice.below(100)},
           {"receiptNo", "r-" + number},
           {"trackingNo", "t-" + number},
           {"ticketNo", "k-" + number},
           {"entryId", "e-" + number},
           {"bookedAt", "2026-01-01T00:00:00Z"},
           {"ref", "n-" + number},
           {"hit", dice.chance(5)},
           {"risk", dice.chance(40) ? "high" : "low"}}};
}

void Services::go_down(Duration time) {
  if (names.empty()) return;
  const std::string& name = scene_.dice.pick(names);
  down_until_[name] = scene_.world.now() + time;
  scene_.trace.note(name, "is down for ", to_text(time));
}

bool Services::is_down(const std::string& service) const {
  const auto found = down_until_.find(service);
  return found != down_until_.end() && scene_.world.now() < found->second;
}

}  // namespace backstitch::simulation
