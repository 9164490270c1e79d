#include "starts.hpp"

#include <atomic>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>

#include "page.hpp"
#include "params.hpp"
#include "problem.hpp"

namespace backstitch::rest {
namespace {

constexpr std::size_t key_bytes_max = 255;

Result<std::map<std::string, std::string>> labels_of(const Json& body) {
  std::map<std::string, std::string> labels;
  const auto found = body.find("labels");
  if (found == body.end()) return labels;
  if (!found->is_object())
    return invalid("body-invalid", "`labels` is an object of strings.", "/labels");
  for (const auto& [name, value] : found->items()) {
    if (!value.is_string())
      return invalid("body-invalid", "A label is a string.", "/labels/" + name);
    labels.emplace(name, value.get<std::string>());
  }
  return labels;
}

/// One start as the API spells it. `body` is consumed.
Result<engine::StartRequest> start_of(Json& body, bool in_batch) {
  if (!body.is_object()) return invalid("body-invalid", "A start is a JSON object.");
  const auto known =
      in_batch ? only_keys(body, {"definition", "version", "input", "businessKey", "labels",
                                  "idempotencyKey"})
               : only_keys(body, {"definition", "version", "input", "businessKey", "labels"});
  if (!known) return known.error();
  engine::StartRequest start;
  auto definition = text_member(body, "definition", 128);
  if (!definition) return definition.error();
  if (!definition->has_value()) {
    return invalid("body-invalid", "`definition` names what to start.", "/definition");
  }
  start.definition = std::move(**definition);
  if (const auto version = body.find("version"); version != body.end()) {
    if (!version->is_number_integer()) {
      return invalid("body-invalid", "`version` is an integer.", "/version");
    }
    start.version = version->get<std::int64_t>();
  }
  auto business_key = text_member(body, "businessKey", key_bytes_max);
  if (!business_key) return business_key.error();
  start.business_key = std::move(*business_key);
  auto key = text_member(body, "idempotencyKey", key_bytes_max);
  if (!key) return key.error();
  start.idempotency_key = std::move(*key);
  auto labels = labels_of(body);
  if (!labels) return labels.error();
  start.labels = std::move(*labels);
  if (const auto input = body.find("input"); input != body.end())
    start.input = std::move(*input);
  else
    start.input = Json::object();
  return start;
}

std::string place_of(SagaId id) {
  return "/v1/sagas/" + id.text();
}

/// The start is durable whatever the reading says: the answer must not look like a refusal.
Reply started_reply(SagaId id, int status, const Result<Json>& view) {
  Reply reply = json_reply(status, view ? *view : Json{{"id", id.text()}});
  reply.headers.emplace_back("Location", place_of(id));
  return replayed_if(status == 200, std::move(reply));
}

/// The results of a batch as they come in; answers once when the last is there. Results arrive on
/// several reactors, each in its own slot.
struct Batch {
  explicit Batch(std::size_t count, Respond answer)
      : results(count), left(count), respond(std::move(answer)) {}
  std::vector<Json> results;
  std::atomic<std::size_t> left;
  Respond respond;

  /// The places that are wrong are told of the first results, as far as an answer has room.
  static void bound(std::vector<Json>& results) {
    std::size_t bytes = 0;
    for (auto& result : results) {
      bytes += json_text_size(result);
      if (bytes <= page_bytes_max || !result.contains("errors")) continue;
      bytes -= json_text_size(result["errors"]);
      result["errorsMissing"] = result["errors"].size();
      result.erase("errors");
    }
  }

  void settle(std::size_t index, Json result) {
    results[index] = std::move(result);
    if (left.fetch_sub(1) == 1) {
      bound(results);
      Json body{{"results", Json::array()}};
      body["results"].get_ref<Json::array_t&>() = std::move(results);
      respond(json_reply(200, body));
    }
  }
};

Json error_result(const Error& error) {
  Json result{{"status", status_of(error)}, {"code", error.reason}, {"detail", error.message}};
  for (const auto& detail : error.details) {
    result["errors"].push_back({{"pointer", detail.pointer}, {"message", detail.message}});
  }
  if (!error.saga.empty()) result["saga"] = error.saga;
  return result;
}

Json start_result(const Result<engine::StartReply>& reply) {
  if (!reply) return error_result(reply.error());
  return {{"status", reply->created ? 201 : 200}, {"id", reply->id.text()}};
}

}  // namespace

void start_saga(engine::Engine& engine, const Options& options, Request request, Respond respond) {
  const auto wait = duration_in(request, "wait", options.wait_max);
  if (!wait) return respond(problem(wait.error()));
  auto body = dsl::parse_json(request.body, dsl::GateLimits{options.body_bytes_max}.around(1));
  if (!body) return respond(problem(body.error()));
  auto start = start_of(*body, false);
  if (!start) return respond(problem(start.error()));
  auto key = idempotency_key_of(request);
  if (!key) return respond(problem(key.error()));
  if (!key->empty()) start->idempotency_key = std::move(*key);
  engine.start(request.reactor, std::move(*start),
               [&engine, respond, wait = *wait,
                peer = request.peer](const Result<engine::StartReply>& reply) {
                 if (!reply) return respond(problem(reply.error()));
                 const int status = reply->created ? 201 : 200;
                 const SagaId id = reply->id;
                 auto answer = [id, status, respond](const Result<Json>& view) {
                   respond(started_reply(id, status, view));
                 };
                 if (!wait) return engine.view(id, std::move(answer));
                 const auto number = engine.await_end(id, *wait, std::move(answer));
                 peer->watch([&engine, id, number] { engine.stop_waiting(id, number); });
               });
}

void start_batch(engine::Engine& engine, const Options& options, Request request, Respond respond) {
  const auto batch_size_error = [&](const std::string& size) {
    return invalid("batch-size-invalid",
                   "A batch has 1 to " + std::to_string(options.batch_starts_max) +
                       " starts; this one has " + size + ".",
                   "/sagas");
  };
  dsl::GateLimits limits = dsl::GateLimits{options.batch_bytes_max}.around(3);
  limits.items_max = options.batch_starts_max;
  auto body = dsl::parse_json(request.body, limits);
  if (!body && body.error().reason == "json-too-many-items")
    return respond(problem(batch_size_error("more")));
  if (!body) return respond(problem(body.error()));
  if (!body->is_object() || !body->contains("sagas") || !(*body)["sagas"].is_array() ||
      body->size() != 1) {
    return respond(
        problem(invalid("body-invalid", "The body is {\"sagas\": [start, …]}.", "/sagas")));
  }
  Json& starts = (*body)["sagas"];
  if (starts.empty()) return respond(problem(batch_size_error("none")));
  auto batch = std::make_shared<Batch>(starts.size(), std::move(respond));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    auto start = start_of(starts[i], true);
    if (!start) {
      batch->settle(i, error_result(start.error()));
      continue;
    }
    engine.start(request.reactor, std::move(*start),
                 [batch, i](const Result<engine::StartReply>& reply) {
                   batch->settle(i, start_result(reply));
                 });
  }
}

}  // namespace backstitch::rest
