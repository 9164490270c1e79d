/// Definitions: arbitrary bytes through the parser and the checker.
#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/parse.hpp>

#include "fuzz.hpp"

namespace backstitch::fuzz {
namespace {

/// An environment that knows some things and not others, so that every rule about it can fire.
dsl::CheckContext environment() {
  static const auto child = dsl::parse_definition(
                                R"({"dsl":1,"name":"accounts.debit","version":2,
    "input":{"type":"object","required":["account"],"properties":{"account":{"type":"string"}}},
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"x","action":{"service":"s","http":"PUT /x"},"compensation":"none"}]})")
                                .definition;
  dsl::CheckContext context;
  context.service = [](const std::string& name) {
    static const auto known = std::make_shared<dsl::Service>();
    return name == "unknown" ? nullptr : known;
  };
  context.definition = [](const std::string& name, std::int64_t version) {
    return name == "accounts.debit" && version != 1 ? child : nullptr;
  };
  context.refuse_url = [](const std::string& url) {
    return url.starts_with("https://") ? "" : "plain http is not allowed here";
  };
  context.has_secret = [](const std::string& name, const std::string&) {
    return name != "unknown";
  };
  context.has_operation = [](const std::string&, const std::string& name) {
    return name != "unknown";
  };
  return context;
}

std::vector<dsl::Finding> without_places(std::vector<dsl::Finding> findings) {
  for (auto& finding : findings) dsl::put(finding, {});
  const auto key = [](const dsl::Finding& f) { return std::tie(f.pointer, f.code, f.message); };
  std::stable_sort(findings.begin(), findings.end(),
                   [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return findings;
}

/// What is stored is the canonical form: it is the same definition, however it is laid out.
void require_canonical(const dsl::Parsed& parsed, const dsl::CheckContext& context) {
  const auto& definition = *parsed.definition;
  require(definition.hash.size() == 64, "a hash is SHA-256 in hex", definition.hash);
  require_storable(definition.document);
  const dsl::DefinitionLimits roomy{.bytes_max = 16 * 1024 * 1024};
  const std::string canonical = json_text(definition.document);
  for (const std::string& text : {canonical, " \n" + canonical + "\n"}) {
    const auto again = dsl::parse_and_check(text, context, roomy);
    require(again.definition != nullptr, "the canonical form is accepted", text);
    require(again.definition->hash == definition.hash, "the canonical form has the same hash");
    require(again.definition->document == definition.document, "the canonical form is canonical");
    require(without_places(again.findings) == without_places(parsed.findings),
            "the canonical form has the same findings", text);
  }
}

void require_sound_parse(const dsl::Parsed& parsed, std::string_view text) {
  require((parsed.definition == nullptr) == dsl::has_errors(parsed.findings),
          "a definition is refused exactly if it has an error");
  const auto document = dsl::parse_json(text);
  require_sound(parsed.findings, text, document ? &*document : nullptr);
}

}  // namespace

void look_at(std::string_view input) {
  for (const auto& context : {dsl::CheckContext{}, environment()}) {
    const auto parsed = dsl::parse_and_check(input, context);
    require_sound_parse(parsed, input);
    const auto again = dsl::parse_and_check(input, context);
    require(parsed.findings == again.findings, "the same text has the same findings");
    if (parsed.definition) require_canonical(parsed, context);
  }
  const auto service = dsl::parse_service(input);
  const auto document = dsl::parse_json(input);
  require((service.service == nullptr) == dsl::has_errors(service.findings),
          "a service is refused exactly if it has an error");
  for (const auto& finding : service.findings) {
    require(is_pointer(finding.pointer), "a finding has a JSON pointer", finding.pointer);
    require(!document || names_a_place(*document, finding.pointer),
            "a service's finding names something in the document", finding.pointer);
    require(is_utf8(finding.message), "a finding's message is UTF-8", finding.message);
  }
}

}  // namespace backstitch::fuzz
