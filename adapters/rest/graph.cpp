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
  const std::string name = request.parameter("format").value_or(pictures[0].name);
  for (const auto& picture : pictures) {
    if (name == picture.name) return picture;
  }
  return invalid("query-invalid", "`" + name.substr(0, 100) +
                                      "` is not a valid `format`; give svg, mermaid or dot.");
}

Reply graph_reply(const dsl::Definition& definition, const Picture& picture) {
  Reply reply;
  reply.content_type = picture.content_type;
  // Opened by itself the SVG is a document of this origin: whatever it held, it may only be looked
  // at.
  reply.headers.emplace_back("Content-Security-Policy",
                             "default-src 'none'; style-src 'unsafe-inline'");
  reply.body = dsl::draw(definition, picture.format);
  return reply;
}

void draw(engine::Engine& engine, const Request& request, const std::string& name,
          std::optional<std::int64_t> version, const Respond& respond) {
  const auto picture = picture_in(request);
  if (!picture) return respond(problem(picture.error()));
  engine::look_up(
      engine.registry(),
      [&engine, name, version] { return engine.registry().program(name, version); },
      [&engine, picture = *picture, respond](const Result<engine::Program>& program) {
        if (!program) return respond(problem(program.error()));
        const auto queued =
            engine.workers().submit([definition = program->definition, picture, respond] {
              respond(graph_reply(*definition, picture));
            });
        if (!queued) respond(problem(queued.error()));
      });
}

}  // namespace

void add_graph_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  router.add("GET", "/v1/definitions/{}/graph", {"format"},
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               draw(engine, request, captured[0], std::nullopt, respond);
             });
  router.add("GET", "/v1/definitions/{}/versions/{}/graph", {"format"},
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               const auto version = version_of(captured[1]);
               if (!version) return respond(problem(version.error()));
               draw(engine, request, captured[0], *version, respond);
             });
}

}  // namespace backstitch::rest
