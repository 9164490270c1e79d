#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/parse.hpp>
#include <backstitch/dsl/taint.hpp>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <backstitch/base/digest.hpp>
#include <backstitch/dsl/json_gate.hpp>

#include "excerpt.hpp"
#include "parse_fields.hpp"
#include "parse_steps.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t labels_max = 16;
constexpr std::string_view schema_name = "saga-";

void read_version_of_language(Reader& reader) {
  const Json* dsl = reader.require("dsl");
  if (dsl != nullptr && *dsl != 1) {
    add_error(reader.findings(), "E003", reader.at("dsl"),
              "`dsl` is " + dsl->dump() + "; this engine reads version 1", "write \"dsl\": 1");
  }
  const auto schema = reader.text("$schema");
  if (!schema) return;
  const std::string_view file = std::string_view(*schema).substr(schema->rfind('/') + 1);
  const std::string_view number = file.substr(std::min(schema_name.size(), file.size()));
  const auto digits = number.find_first_not_of("0123456789");
  if (file.starts_with(schema_name) && digits != 0 && !number.empty() &&
      number.substr(0, digits) != "1") {
    add_error(reader.findings(), "E003", reader.at("$schema"),
              "`$schema` names another version of the language", "name saga-1.schema.json");
  }
}

void read_labels(Reader& reader, Definition& definition) {
  const Json* labels = reader.take("labels");
  if (labels == nullptr) return;
  if (!labels->is_object() || labels->size() > labels_max) {
    return add_error(reader.findings(), "E002", reader.at("labels"),
                     "`labels` is an object of at most 16 texts",
                     "write { \"name\": \"${input.member}\" }");
  }
  for (const auto& [name, value] : labels->items()) {
    const std::string at = reader.at("labels") + "/" + escaped_pointer(name);
    if (!value.is_string()) {
      add_error(reader.findings(), "E002", at, "a label is a string", "write a string");
      continue;
    }
    auto compiled = Template::compile_text(value.get_ref<const std::string&>());
    if (compiled)
      definition.labels.push_back({name, std::move(*compiled)});
    else
      add_compile_errors(reader.findings(), compiled.error(), at);
  }
}

void read_retry_policies(Reader& reader, Definition& definition) {
  const Json* policies = reader.take("retryPolicies");
  if (policies == nullptr) return;
  if (!policies->is_object()) {
    return add_error(reader.findings(), "E002", reader.at("retryPolicies"),
                     "`retryPolicies` is an object of policies",
                     "write { \"patient\": { \"maxAttempts\": 10 } }");
  }
  for (const auto& [name, policy] : policies->items()) {
    const std::string at = reader.at("retryPolicies") + "/" + escaped_pointer(name);
    // A policy that names another would make a puzzle of what is meant.
    if (policy.is_string())
      add_error(reader.findings(), "E002", at, "a retry policy is an object",
                "write out what it says");
    else
      definition.retry_policies.emplace(name, read_retry(policy, at, {}, reader.findings()));
  }
}

void read_defaults(Reader& reader, Definition& definition, DocumentContext& context) {
  const Json* defaults = reader.take("defaults");
  if (defaults == nullptr) return;
  Findings& findings = reader.findings();
  Reader inner(*defaults, reader.at("defaults"), "`defaults`", findings);
  if (const Json* retry = inner.take("retry")) {
    definition.default_retry =
        read_retry(*retry, inner.at("retry"), context.retry_policies, findings);
  }
  definition.default_attempt_timeout = inner.duration("attemptTimeout", one_attempt);
  definition.default_step_timeout = inner.duration("stepTimeout", more_than_nothing);
  if (const Json* compensation = inner.take("compensation")) {
    Reader undo(*compensation, inner.at("compensation"), "`compensation`", findings);
    if (const Json* retry = undo.take("retry")) {
      context.compensation_retry =
          read_retry(*retry, undo.at("retry"), context.retry_policies, findings);
    }
    context.compensation_attempt_timeout = undo.duration("attemptTimeout", one_attempt);
    context.compensation_on_exhausted = read_on_exhausted(undo, OnExhausted::suspend);
    undo.finish();
  }
  inner.finish();
}

void read_services(Reader& reader, Definition& definition, const DefinitionLimits& limits) {
  const Json* services = reader.take("services");
  if (services == nullptr) return;
  if (!services->is_object() || services->size() > limits.services_max) {
    return add_error(
        reader.findings(), "E002", reader.at("services"),
        "`services` is an object of at most " + std::to_string(limits.services_max) + " services",
        "write { \"orders\": { \"use\": \"orders\" } }");
  }
  for (const auto& [name, service] : services->items()) {
    const std::string at = reader.at("services") + "/" + escaped_pointer(name);
    if (!is_identifier(name))
      add_error(reader.findings(), "E002", at,
                "\"" + excerpt(name, 80) + "\" is not a valid name of a service", hint_for_names);
    definition.services.emplace(
        name, read_service(service, at, false, definition.retry_policies, reader.findings()));
  }
}

void read_head(Reader& reader, Definition& definition, PatternBudget& patterns) {
  read_version_of_language(reader);
  const auto name = reader.text("name", true);
  if (name && !is_dotted_name(*name)) {
    add_error(reader.findings(), "E002", reader.at("name"),
              "\"" + excerpt(*name, 80) + "\" is not a valid name of a definition",
              "names are lower case, with dots: orders.place");
  }
  definition.name = name.value_or("");
  definition.version = reader.integer("version", 1, INT64_MAX, true).value_or(1);
  definition.description = reader.text("description").value_or("");
  definition.owner = reader.text("owner").value_or("");
  read_labels(reader, definition);
  definition.business_key = reader.text_template("businessKey");
  definition.business_key_reuse =
      reader
          .word<BusinessKeyReuse>(
              "businessKeyReuse",
              {{"never", BusinessKeyReuse::never}, {"afterFailed", BusinessKeyReuse::after_failed}})
          .value_or(BusinessKeyReuse::never);
  if (const Json* input = reader.take("input")) {
    const auto found =
        PayloadSchema::compile(*input, reader.at("input"), definition.input, patterns);
    reader.findings().insert(reader.findings().end(), found.begin(), found.end());
  }
  definition.recovery = reader
                            .word<Recovery>("recovery", {{"backward", Recovery::backward},
                                                         {"forward", Recovery::forward}})
                            .value_or(Recovery::backward);
  if (auto timeout = reader.duration("timeout", more_than_nothing))
    definition.timeout = std::move(*timeout);
  definition.retention = reader.plain_duration("retention");
}

void read_steps(Reader& reader, Definition& definition, DocumentContext& context,
                const DefinitionLimits& limits) {
  StepParser parser(context, limits, reader.findings());
  if (const Json* steps = reader.require("steps")) {
    definition.steps = parser.read(*steps, reader.at("steps"));
    if (steps->is_array() && steps->empty()) {
      add_error(reader.findings(), "E002", reader.at("steps"), "a saga has at least one step",
                "add a step");
    }
  }
  if (const Json* steps = reader.take("onFailure"))
    definition.on_failure = parser.read(*steps, reader.at("onFailure"));
  if (const Json* steps = reader.take("onSuspended")) {
    definition.on_suspended = parser.read(*steps, reader.at("onSuspended"));
  }
  definition.output = reader.value_template("output");
}

}  // namespace

Parsed parse_definition(std::string_view text, const DefinitionLimits& limits) {
  Parsed parsed;
  parsed.places = SourceMap{std::string(text)};
  auto json = parse_json(text, {.bytes_max = limits.bytes_max, .depth_max = limits.json_depth_max});
  if (!json) {
    add_error(parsed.findings, "E001",
              json.error().details.empty() ? "" : json.error().details[0].pointer,
              json.error().message, hint_of(json.error()));
    const auto [line, column] = line_and_column(json.error());
    put(parsed.findings.back(), {line, column, line == 0 ? 0U : 1U});
  } else {
    auto definition = std::make_shared<Definition>();
    DocumentContext context;
    Reader reader(*json, "", "a definition", parsed.findings);
    read_head(reader, *definition, context.patterns);
    read_retry_policies(reader, *definition);
    context.retry_policies = definition->retry_policies;
    read_defaults(reader, *definition, context);
    read_services(reader, *definition, limits);
    read_steps(reader, *definition, context, limits);
    reader.finish();
    definition->step_paths = step_paths_of(*definition);
    if (text.find("x-sensitive") != std::string_view::npos)
      definition->taints = std::make_shared<const TaintMap>(TaintMap::of(*definition));
    // Keys are kept sorted and numbers written one way: the compact text is the canonical form.
    const bool is_object = json->is_object();
    definition->hash = sha256_hex(json_text(*json));
    definition->document = std::move(*json);
    if (!has_errors(parsed.findings)) parsed.definition = definition;
    if (is_object) parsed.draft = std::move(definition);
  }
  for (auto& finding : parsed.findings) {
    if (finding.line == 0) put(finding, parsed.places.find(finding.pointer));
  }
  sort(parsed.findings);
  limit(parsed.findings);
  return parsed;
}

}  // namespace backstitch::dsl
