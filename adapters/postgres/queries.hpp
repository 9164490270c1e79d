#pragma once
/// What readers, leases and the catalogue ask of the database: one function a question, each one
/// statement. They throw what libpqxx throws; WorkerPool turns that into errors.
#include <cstddef>

#include <backstitch/engine/ports/store.hpp>

#include "lineage.hpp"
#include "membership.hpp"
#include "session.hpp"

namespace backstitch::postgres {

using engine::limit_max;
using engine::page_max;

Result<std::vector<engine::StoredSaga>> load(Session& session, const std::vector<SagaId>& sagas);
Result<std::vector<SagaId>> due(Session& session, const engine::DueQuery& query);
Result<std::size_t> remove_expired(Session& session, const std::vector<Shard>& shards,
                                   std::size_t limit, Duration key_retention);
Result<std::vector<engine::SagaSummary>> list(Session& session, const engine::ListQuery& query);
Result<engine::HistoryPage> history(Session& session, const SagaId& saga, engine::Sequence after,
                                    std::size_t limit);

/// Before the first renewal. @param adopt this copy of a database is the one to work on
/// @return invalid/database-copied
Result<Done> begin_work(Session& session, Lineage& lineage, bool adopt);
/// Records in the database which server this is, if the session's era is new to it.
/// @return the number of the lineage
std::int64_t enter_lineage(Session& session, Lineage& lineage);
/// @param sessions of this process
/// @param membership learns the generation of the node's fence
/// @param lineage is entered in the database if the session belongs to a new era
Result<engine::LeaseAnswer> renew(Session& session, const engine::LeaseRequest& request,
                                  const std::vector<Backend>& sessions, Membership& membership,
                                  Lineage& lineage);
Result<Done> give_up(Session& session, const engine::NodeIdentity& node,
                     const std::vector<Shard>& shards);
Result<Done> prove(Session& session, const engine::NodeIdentity& node,
                   const std::vector<Shard>& shards);
Result<std::int64_t> strike(Session& session, const SagaId& saga, bool again);
Result<Done> forgive(Session& session, const SagaId& saga);
Result<Done> release(Session& session, const engine::NodeIdentity& node);
Result<std::vector<engine::NodeInfo>> nodes(Session& session);

Result<std::int64_t> put_command(Session& session, const engine::InboxItem& item);
Result<std::optional<engine::InboxItem>> start_of(Session& session, const SagaId& saga);
/// Of the session that polls.
Settings inbox_settings();
Result<engine::InboxPoll> poll_inbox(Session& session, const engine::InboxQuery& query);
Result<bool> inbox_failed(Session& session, const engine::InboxFailure& failure);
Result<std::vector<engine::InboxAnswer>> take_answers(Session& session, const std::string& node);

Result<engine::CatalogContent> changes(Session& session, std::int64_t revision);
Result<std::string> installation_secret(Session& session);
Result<engine::PutOutcome> put_definition(Session& session,
                                          const engine::StoredDefinition& definition,
                                          bool activate);
Result<Done> activate(Session& session, const std::string& name, std::int64_t version);
Result<engine::PutOutcome> put_service(Session& session, const engine::StoredService& service);

}  // namespace backstitch::postgres
