#include <utility>

#include <nlohmann/json.hpp>

#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

Json node_json(const engine::NodeInfo& node) {
  return {{"name", node.name},
          {"address", node.address},
          {"alive", node.alive},
          {"shards", node.shards},
          {"shardsMax", node.shards_max},
          {"startedAt", to_rfc3339(node.started_at)},
          {"renewedAt", to_rfc3339(node.renewed_at)},
          {"leaseUntil", to_rfc3339(node.expires_at)}};
}

}  // namespace

void add_node_routes(Router& router, engine::Engine& engine) {
  router.add("GET", "/v1/nodes", {},
             [&engine](const Request&, const std::vector<std::string>&, const Respond& respond) {
               engine.nodes([respond](const Result<std::vector<engine::NodeInfo>>& nodes) {
                 if (!nodes) return respond(problem(nodes.error()));
                 Json list = Json::array();
                 for (const auto& node : *nodes) list.push_back(node_json(node));
                 respond(json_reply(200, {{"nodes", std::move(list)}}));
               });
             });
}

}  // namespace backstitch::rest
