#pragma once
/// For participants written in C++ on PostgreSQL: keeps the participant contract in the service's
/// own transaction. Needs the SQL functions in that database (`backstitch guard-sql | psql`), and
/// nothing else of Backstitch: this header stands alone. For libpqxx 6.4 and 7.
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <pqxx/pqxx>

namespace backstitch::participant {

enum class Phase { forward, compensate, probe };

/// What the header `Saga-Phase` says. Throws std::invalid_argument for anything else.
inline Phase phase_of(std::string_view header) {
  if (header == "forward") return Phase::forward;
  if (header == "compensate") return Phase::compensate;
  if (header == "probe") return Phase::probe;
  throw std::invalid_argument("Saga-Phase is forward, compensate or probe, not `" +
                              std::string(header) + "`");
}

/// The header that returns the key of a request in its answer, in every one, errors included. It
/// tells the engine that the participant spoke, and not a gateway before it; the service says so in
/// its registration: `"answers": {"echo": "Saga-Echo"}`.
inline constexpr const char* echo_header = "Saga-Echo";

/// Its value: the first of the request's headers `Idempotency-Key`, `Saga-Compensates` and
/// `Saga-Probes` that is there.
///   answer.set(echo_header, echo_of([&](const char* name) { return request.header(name); }));
/// @param header  gives the value of a header, empty if the request has none of that name
template <class Header>
std::string echo_of(Header&& header) {
  for (const char* name : {"Idempotency-Key", "Saga-Compensates", "Saga-Probes"}) {
    if (std::string key(header(name)); !key.empty()) return key;
  }
  return {};
}

enum class Verdict {
  proceed,   ///< do the work, or undo it, in this transaction
  repeated,  ///< forward and probe: give the remembered answer again; compensate: answer success
  refused,   ///< forward: its undo came first; answer 409 and do nothing
  nothing    ///< compensate: nothing to undo, answer success; probe: not seen, answer 404
};

/// What became of an action that was told to proceed.
enum class Standing {
  done,
  refused  ///< by a rule of the service, for good: nothing was done
};

namespace detail {

template <class... Arguments>
pqxx::result run(pqxx::transaction_base& tx, const char* sql, const Arguments&... arguments) {
#if defined(PQXX_VERSION_MAJOR) && \
    (PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10))
  return tx.exec(sql, pqxx::params{arguments...});
#else
  return tx.exec_params(sql, arguments...);
#endif
}

inline const char* to_text(Phase phase) {
  switch (phase) {
    case Phase::forward:
      return "forward";
    case Phase::compensate:
      return "compensate";
    case Phase::probe:
      return "probe";
  }
  return "";
}

}  // namespace detail

/// Takes the key until the transaction ends; whoever else asks for it waits, and is then answered
/// by how it ended. So call it first, and commit the work with it. `key` is that of the action in
/// every phase: `Idempotency-Key`, in an undo `Saga-Compensates`, in a probe `Saga-Probes`. Throws
/// what libpqxx throws: a key that is empty or longer than 200 characters is pqxx::sql_error 22023;
/// under REPEATABLE READ and SERIALIZABLE a concurrent transaction with the key is 40001, to be
/// tried again as always.
inline Verdict guard(pqxx::transaction_base& tx, std::string_view key, Phase phase) {
  const pqxx::result rows =
      detail::run(tx, "select backstitch.guard($1, $2)", std::string(key), detail::to_text(phase));
  const std::string said = rows[0][0].c_str();
  if (said == "proceed") return Verdict::proceed;
  if (said == "repeated") return Verdict::repeated;
  if (said == "refused") return Verdict::refused;
  if (said == "nothing") return Verdict::nothing;
  throw std::logic_error("backstitch.guard answered `" + said +
                         "`, which this header does not know; take the one of the same version");
}

/// Keeps the answer of an action, as JSON text, to be given again. After `proceed` in the same
/// transaction, or later for an action that is decided later. Throws pqxx::sql_error 55000 if the
/// action was undone meanwhile: roll back.
inline void remember(pqxx::transaction_base& tx, std::string_view key, std::string_view answer,
                     Standing standing = Standing::done) {
  detail::run(tx, "select backstitch.guard_remember($1, $2::jsonb, $3)", std::string(key),
              std::string(answer), standing == Standing::done);
}

/// The answer that was remembered, as JSON text; nothing: none was.
inline std::optional<std::string> remembered(pqxx::transaction_base& tx, std::string_view key) {
  const pqxx::result rows = detail::run(tx, "select backstitch.guard_answer($1)", std::string(key));
  if (rows[0][0].is_null()) return std::nullopt;
  return std::string(rows[0][0].c_str());
}

}  // namespace backstitch::participant
