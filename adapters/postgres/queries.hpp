#pragma once
/// What readers, leases and the catalogue ask of the database: one function a question, each one
/// statement. They throw what libpqxx throws; WorkerPool turns that into errors.
#include <cstddef>

#include <backstitch/engine/ports/store.hpp>

#include "session.hpp"

namespace backstitch::postgres {

using engine::limit_max;

Result<std::vector<engine::StoredSaga>> load(Session& session, const std::vector<SagaId>& sagas);
Result<std::vector<SagaId>> due(Session& session, const engine::DueQuery& query);
Result<std::size_t> remove_expired(Session& session, const std::vector<Shard>& shards,
                                   std::size_t limit);
Result<std::vector<engine::SagaSummary>> list(Session& session, const engine::ListQuery& query);
Result<std::vector<engine::EventRecord>> history(Session& session, const SagaId& saga,
                                                 engine::Sequence after, std::size_t limit);

Result<engine::LeaseAnswer> renew(Session& session, const engine::LeaseRequest& request);
Result<Done> give_up(Session& session, const std::string& node, const std::vector<Shard>& shards);
Result<Done> release(Session& session, const std::string& node);
Result<std::vector<engine::NodeInfo>> nodes(Session& session);

Result<std::int64_t> put_command(Session& session, const engine::InboxItem& item);
Result<std::optional<engine::InboxItem>> start_of(Session& session, const SagaId& saga);
Result<std::vector<engine::InboxItem>> waiting(Session& session, const engine::InboxQuery& query);
Result<std::vector<engine::InboxAnswer>> take_answers(Session& session, const std::string& node);

Result<engine::CatalogContent> changes(Session& session, std::int64_t revision);
Result<engine::PutOutcome> put_definition(Session& session,
                                          const engine::StoredDefinition& definition,
                                          bool activate);
Result<Done> activate(Session& session, const std::string& name, std::int64_t version);
Result<engine::PutOutcome> put_service(Session& session, const engine::StoredService& service);

}  // namespace backstitch::postgres
