#pragma once
/// One function a family of resources; each adds its routes. The engine outlives the router.
#include <atomic>
#include <memory>
#include <utility>

#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/engine/runtime/look_up.hpp>
#include <backstitch/rest/server.hpp>

#include "connections.hpp"
#include "errors.hpp"
#include "problem.hpp"
#include "router.hpp"

namespace backstitch::rest {

void add_definition_routes(Router& router, engine::Engine& engine);
void add_graph_routes(Router& router, engine::Engine& engine);
void add_node_routes(Router& router, engine::Engine& engine);
void add_service_routes(Router& router, engine::Engine& engine);
void add_saga_routes(Router& router, engine::Engine& engine, const Options& options);
void add_operator_routes(Router& router, engine::Engine& engine);
void add_signal_routes(Router& router, engine::Engine& engine, const Options& options);
void add_system_routes(Router& router, engine::Engine& engine, const Options& options,
                       const Refusals& refusals, const Connections& connections);
void add_error_routes(Router& router);

/// Answers with what `reply` makes of what this node knows; before a 404 it is looked up in the
/// store.
template <class MakeReply>
void respond_looked_up(engine::Engine& engine, MakeReply reply, const Respond& respond) {
  engine::look_up(engine.registry(), std::move(reply), [respond](Result<Reply> made) {
    respond(made ? std::move(*made) : problem(made.error()));
  });
}

}  // namespace backstitch::rest
