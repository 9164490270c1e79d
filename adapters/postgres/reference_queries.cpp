#include <algorithm>

#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {
namespace {

engine::PutOutcome put_outcome(const pqxx::result& answer) {
  const std::string text = answer[0][0].c_str();
  if (text == "created") return engine::PutOutcome::created;
  if (text == "same") return engine::PutOutcome::same;
  BACKSTITCH_INVARIANT(text == "conflict", "unknown answer of the catalogue: " + text);
  return engine::PutOutcome::conflict;
}

}  // namespace

Result<engine::CatalogContent> changes(Session& session, std::int64_t revision) {
  // One statement, one snapshot: two could skip a definition committed between them, for good.
  static const std::string sql =
      "select true, revision, name, version, hash, document, findings, "
      "active, " BACKSTITCH_MILLISECONDS("registered_at") R"(, pins
      from backstitch.definition where revision > $1::bigint
     union all
    select false, revision, name, 0, '', document, '[]', false, 0, '{}'
      from backstitch.service where revision > $1::bigint
     order by 3, 4)";
  engine::CatalogContent content{revision, {}, {}};
  for (const auto& row : session.run_prepared("changes", sql, revision)) {
    content.revision = std::max(content.revision, number_of(row[1]));
    if (flag_of(row[0])) {
      content.definitions.push_back(
          {text_or_empty(row[2]), number_of(row[3]), text_or_empty(row[4]), text_or_empty(row[5]),
           text_or_empty(row[6]), text_or_empty(row[9]), flag_of(row[7]), time_of(row[8])});
    } else {
      content.services.push_back({text_or_empty(row[2]), text_or_empty(row[5])});
    }
  }
  return content;
}

Result<std::string> installation_secret(Session& session) {
  const auto answer =
      session.run_prepared("secret", "select encode(backstitch.read_secret(), 'hex')");
  if (answer[0][0].is_null()) {
    return Error{ErrorCode::internal, "secret-missing-in-database",
                 "backstitch.installation has no row: restore it from a backup, because the keys "
                 "that participants remember and the tokens that they hold are derived from it."};
  }
  return text_or_empty(answer[0][0]);
}

Result<engine::PutOutcome> put_definition(Session& session,
                                          const engine::StoredDefinition& definition,
                                          bool activate) {
  static const std::string sql =
      "select backstitch.put_definition($1::text, $2::bigint, $3::text, $4::json, $5::json,"
      " timestamptz 'epoch' + $6::bigint * interval '1 millisecond', $7::boolean, $8::json)";
  const std::string registered =
      std::to_string(definition.registered_at.time_since_epoch().count());
  return put_outcome(session.run_prepared(
      "put_definition", sql, definition.name, definition.version, definition.hash,
      definition.document, definition.findings.empty() ? std::string("[]") : definition.findings,
      definition.registered_at == TimePoint{} ? nullptr : registered.c_str(),
      activate ? "true" : "false", definition.pins.empty() ? std::string("{}") : definition.pins));
}

Result<Done> activate(Session& session, const std::string& name, std::int64_t version) {
  const pqxx::result answer = session.run_prepared(
      "activate", "select backstitch.activate_definition($1::text, $2::bigint)", name, version);
  if (flag_of(answer[0][0])) return Done{};
  return Error{ErrorCode::not_found, "definition-not-found",
               "there is no definition " + name + " version " + std::to_string(version)};
}

Result<engine::PutOutcome> put_service(Session& session, const engine::StoredService& service) {
  return put_outcome(session.run_prepared("put_service",
                                          "select backstitch.put_service($1::text, $2::json)",
                                          service.name, service.document));
}

}  // namespace backstitch::postgres
