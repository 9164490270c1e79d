/// Pictures of registered definitions.
#include <optional>
#include <string>

#include <backstitch/dsl/graph.hpp>

#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

struct Picture {
  const char* name;
  dsl::GraphFormat format;
  const char* content_type;
};
constexpr Picture pictures[] = {
    {"svg", dsl::GraphFormat::svg, "image/svg+xml"},
    {"mermaid", dsl::GraphFormat::mermaid, "text/vnd.mermaid; charset=utf-8"},
    {"dot", dsl::GraphFormat::dot, "text/vnd.graphviz; charset=utf-8"}};

Result<Picture> picture_in(const Request& request) {
  auto name = request.single("format");
  if (!name) return std::move(name).error();
  for (const auto& picture : pictures) {
    if (name->value_or(pictures[0].name) == picture.name) return picture;
  }
  return invalid("query-invalid", "`format` is svg, mermaid or dot.");
}

Result<Reply> graph_reply(engine::Engine& engine, const Picture& picture, const std::string& name,
                          std::optional<std::int64_t> version) {
  const auto program = engine.registry().program(name, version);
  if (!program) return program.error();
  Reply reply;
  reply.content_type = picture.content_type;
  // Opened by itself the SVG is a document of this origin: whatever it held, it may only be looked
  // at.
  reply.headers.emplace_back("Content-Security-Policy",
                             "default-src 'none'; style-src 'unsafe-inline'");
  reply.body = dsl::draw(*program->definition, picture.format);
  return reply;
}

void draw(engine::Engine& engine, const Request& request, const std::string& name,
          std::optional<std::int64_t> version, const Respond& respond) {
  const auto picture = picture_in(request);
  if (!picture) return respond(problem(picture.error()));
  respond_looked_up(
      engine,
      [&engine, picture = *picture, name, version] {
        return graph_reply(engine, picture, name, version);
      },
      respond);
}

}  // namespace

void add_graph_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  router.add("GET", "/v1/definitions/{}/graph",
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               draw(engine, request, captured[0], std::nullopt, respond);
             });
  router.add("GET", "/v1/definitions/{}/versions/{}/graph",
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               const auto version = version_of(captured[1]);
               if (!version) return respond(problem(version.error()));
               draw(engine, request, captured[0], *version, respond);
             });
}

}  // namespace backstitch::rest
