#pragma once
#include <chrono>
#include <memory>
#include <string>

namespace backstitch::examples {

struct FaultRule;

enum class Verb { get, put, post, del, other };

/// One request as the services see it. Reused by its connection from request to request, so that
/// the strings keep their memory.
struct Request {
  Verb verb = Verb::other;
  std::string target;  ///< path and query, still percent-encoded
  std::string body;

  std::string idempotency_key;
  std::string saga_id;
  std::string saga_step;
  std::string saga_phase;
  std::string saga_attempt;
  std::string saga_compensates;
  std::string saga_probes;
  std::string saga_callback;

  void clear();
  std::string_view path() const;
  std::string_view query() const;
};

/// What becomes of an answer once it is known.
enum class Delivery {
  send,
  drop,  ///< close the connection instead
  hang   ///< keep the connection open and silent, for a bounded time
};

/// An answer; always JSON. Reused like Request.
struct Reply {
  unsigned status = 200;
  std::string body;
  Delivery delivery = Delivery::send;

  void clear();
  void set(unsigned new_status, std::string_view new_body);
};

/// What was decided about a request before any work on it.
struct Admission {
  std::chrono::milliseconds wait{0};  ///< answer this much later
  std::shared_ptr<const FaultRule> fault;
};

/// Answers the requests of one port.
/// Threads: called from every server thread at once, but for one request by one thread at a time.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual Admission admit(const Request& request) = 0;
  /// Called once `admission.wait` has passed.
  virtual void answer(const Request& request, const Admission& admission, Reply& reply) = 0;
};

/// Replaces %XX by the byte it stands for; anything else stays as it is.
std::string percent_decoded(std::string_view text);

/// The value of `name` in a query string, decoded; empty if it is not there.
std::string query_value(std::string_view query, std::string_view name);

}  // namespace backstitch::examples
