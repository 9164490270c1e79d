#pragma once
#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/rest/server.hpp>

#include "message.hpp"

namespace backstitch::rest {

/// POST /v1/sagas and POST /v1/sagas/batch.
void start_saga(engine::Engine& engine, const Options& options, Request request, Respond respond);
void start_batch(engine::Engine& engine, const Options& options, Request request, Respond respond);

}  // namespace backstitch::rest
