#include "rules.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include <doctest/doctest.h>

namespace backstitch::test {
namespace {

using Known = std::map<std::string, std::shared_ptr<const dsl::Definition>>;

std::shared_ptr<const dsl::Definition> registered(const Json& document) {
  const auto parsed = dsl::parse_definition(document.dump());
  for (const auto& finding : parsed.findings) MESSAGE(finding.pointer << " " << finding.message);
  REQUIRE(parsed.definition);
  return parsed.definition;
}

/// Calls the next level from many steps: walked once for each way, nine of them would take years.
Json calling(int level) {
  Json steps = Json::array({{{"name", "v"}, {"value", 1}}});
  for (int i = 0; i < 20 && level < 9; ++i) {
    const Json saga{{"name", "t.level" + std::to_string(level + 1)}, {"input", Json::object()}};
    steps.push_back({{"name", "c" + std::to_string(i)}, {"saga", saga}});
  }
  return {
      {"dsl", 1}, {"name", "t.level" + std::to_string(level)}, {"version", 1}, {"steps", steps}};
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  return {std::istreambuf_iterator<char>(file), {}};
}

dsl::CheckContext environment() {
  Json documents = Json::parse(read_file(BACKSTITCH_DEFINITIONS "/registered.json"));
  for (int level = 1; level <= 9; ++level) documents.push_back(calling(level));
  return environment(documents);
}

dsl::CheckContext environment(const Json& documents) {
  const auto known = std::make_shared<Known>();
  for (const Json& document : documents)
    known->emplace(document["name"].get<std::string>(), registered(document));
  dsl::CheckContext context;
  context.service = [service = std::make_shared<dsl::Service>()](const std::string& name) {
    return name == "known" ? service : nullptr;
  };
  context.definition = [known](const std::string& name, std::int64_t version) {
    const auto found = known->find(name);
    const bool there = found != known->end() && (version == 0 || version == found->second->version);
    return there ? found->second : nullptr;
  };
  context.registered_hash = [known](const std::string& name, std::int64_t version) {
    const auto found = known->find(name);
    // Every rule is a change of one document, which would all be conflicts.
    const bool there =
        name != "t.rule" && found != known->end() && found->second->version == version;
    return there ? found->second->hash : std::string{};
  };
  context.refuse_url = [](const std::string& url) {
    const bool is_allowed = url.starts_with("https://") || url == "http://known";
    return is_allowed ? "" : "plain http is not allowed here";
  };
  context.has_secret = [](const std::string& name, const std::string&) { return name == "known"; };
  context.has_operation = [](const std::string&, const std::string& name) {
    return name == "known";
  };
  return context;
}

bool leads_somewhere(const Json& document, const std::string& pointer) {
  if (pointer.empty()) return true;
  const Json::json_pointer at(pointer);
  return document.contains(at) || document.contains(at.parent_pointer());
}

}  // namespace backstitch::test
