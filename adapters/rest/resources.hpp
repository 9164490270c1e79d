#pragma once
/// One function a family of resources; each adds its routes. The engine outlives the router.
#include <atomic>
#include <memory>

#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/rest/server.hpp>

#include "router.hpp"

namespace backstitch::rest {

void add_definition_routes(Router& router, engine::Engine& engine);
void add_graph_routes(Router& router, engine::Engine& engine);
void add_node_routes(Router& router, engine::Engine& engine);
void add_service_routes(Router& router, engine::Engine& engine);
void add_saga_routes(Router& router, engine::Engine& engine, const Options& options);
void add_operator_routes(Router& router, engine::Engine& engine);
void add_signal_routes(Router& router, engine::Engine& engine, const Options& options);
void add_system_routes(Router& router, engine::Engine& engine, const Options& options);

}  // namespace backstitch::rest
