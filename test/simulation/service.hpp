#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>

#include "ledger.hpp"
#include "scene.hpp"

namespace backstitch::simulation {

/// A request as it comes out of the wire.
struct Message {
  std::string service;
  std::string saga;
  std::string path;   ///< `Saga-Step`
  std::string phase;  ///< `Saga-Phase`
  std::uint32_t attempt = 0;
  std::string method;
  std::string target;
  std::string body;
  std::string key;          ///< `Idempotency-Key`
  std::string compensates;  ///< `Saga-Compensates`
  std::string probes;       ///< `Saga-Probes`
  std::string callback;     ///< `Saga-Callback`
  std::string echo;         ///< the header in which the service repeats the key; empty: in none
  const std::string& carried_key() const {
    if (!key.empty()) return key;
    return compensates.empty() ? probes : compensates;
  }
};
struct Answer {
  int status = 200;
  nlohmann::json body;
  bool is_foreign = false;  ///< somebody between engine and participant has given it
};

/// All participants. They keep docs/participant-contract.md: one effect and one answer a key; an
/// undo of what was never seen is remembered; an undo may be repeated; a sealed probe closes the
/// key. Beyond that they refuse, are busy, fail, and answer later. In front of them is an ordinary
/// router, which finds no route for an encoded slash; their key columns ignore case.
class Services {
 public:
  /// Posts the answer of a call that was accepted.
  using Post = std::function<void(const std::string& url, const Answer& answer)>;
  Services(Scene& scene, Post post) : scene_(scene), post_(std::move(post)) {}

  /// What a participant answers that is too busy to look at a request; nothing: it is not.
  std::optional<Answer> turned_away();
  Answer handle(const Message& message);
  void go_down(Duration time);
  bool is_down(const std::string& service) const;
  const Ledger& ledger() const { return ledger_; }
  /// Nothing is left to be decided.
  bool quiet() const { return undecided_ == 0; }
  /// Which services there are to go down.
  std::vector<std::string> names;

 private:
  enum class Stage { unseen, accepted, done, refused, undone, closed };
  struct Effect {
    Stage stage = Stage::unseen;
    Answer answer;
    std::string callback;
    std::string request;  ///< of the action, once it was seen
  };

  std::optional<Answer> stray(const Message& message);
  Answer act(const Message& message);
  std::optional<Answer> other_request(Effect& effect, const Message& message);
  Answer undo(const Message& message);
  Answer look_up(const Message& message);
  void decide(const Message& message);
  bool refuses(const std::string& key) const;
  static Answer refusal(const std::string& key);
  static Answer success(const std::string& key);
  void note(LedgerEntry::What what, const Message& message, const std::string& key);
  Effect& effect_of(const std::string& key);

  Scene& scene_;
  Post post_;
  std::map<std::string, Effect> effects_;  ///< by the key of the action, without its case
  Ledger ledger_;
  std::map<std::string, engine::SteadyTime> down_until_;
  std::size_t undecided_ = 0;
};

}  // namespace backstitch::simulation
