#include "world.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/finding.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/http/egress.hpp>

namespace backstitch::contract_check {

using namespace engine;

namespace {

constexpr const char* poll_every = "200ms";
constexpr Duration for_ever{3650LL * 86'400'000};

/// What stands between the scheme and the path: HOST:PORT.
std::string authority_of(const std::string& url) {
  const auto scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

/// Whoever says where a service runs wants it called.
http::EgressPolicy::Options egress_options(const Options& options) {
  http::EgressPolicy::Options egress{.allow_hosts = options.allow_hosts,
                                     .allow_loopback_http = true};
  for (const auto& [name, url] : options.base_urls) egress.allow_hosts.push_back(authority_of(url));
  return egress;
}

/// Holds templates, in which any name may occur.
bool holds_templates(const std::string& member) {
  static const std::set<std::string> members{"body",  "query", "headers", "output", "capture",
                                             "value", "yield", "input",   "details"};
  return members.contains(member);
}

/// Lets every action with a probe make one attempt, so that the probe is asked next, and every poll
/// follow the one before it quickly.
void hurry(Json& part) {
  if (part.is_array()) {
    for (Json& inner : part) hurry(inner);
  }
  if (!part.is_object()) return;
  if (part.contains("action") && part.contains("probe")) part["retry"] = Json{{"maxAttempts", 1}};
  if (part.contains("poll") && part["poll"].is_object()) part["poll"]["every"] = poll_every;
  for (auto& [member, inner] : part.items()) {
    if (!holds_templates(member)) hurry(inner);
  }
}

/// One node that owns everything; a saga stays in memory while it is examined.
engine::Options engine_options() {
  engine::Options options;
  options.node = "check-participant";
  options.lease = for_ever;
  options.lease_renewal = for_ever / 4;
  options.residence = for_ever;
  options.removal_every = for_ever;
  return options;
}

}  // namespace

World::World(const contract_check::Options& options)
    : options_(options),
      secrets_(options.secrets),
      egress_(std::make_shared<http::EgressPolicy>(egress_options(options))),
      store_(reactor_, std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())),
      examiner_(reactor_, {.egress = egress_, .secrets = &secrets_, .version = options.version}) {}

World::~World() {
  examiner_.hold({});
  if (engine_ && thread_.joinable()) {
    auto closed = std::make_shared<std::promise<void>>();
    auto done = closed->get_future();
    engine_->close([closed] { closed->set_value(); });
    done.wait_for(std::chrono::seconds(30));
  }
  if (rest_) rest_->stop();
  reactor_.stop();
  if (thread_.joinable()) thread_.join();
}

Result<Done> World::open(const std::vector<std::string>& definitions) {
  std::vector<Json> documents;
  for (const auto& text : definitions) {
    auto document = dsl::parse_json(text);
    if (!document) return std::move(document).error();
    documents.push_back(std::move(*document));
  }
  engine::Options options = engine_options();
  options.environment.refuse_url = [policy = egress_](const std::string& url) {
    return policy->check_url(url);
  };
  options.environment.has_secret = [this](const std::string& name, const std::string& service) {
    return secrets_.find(name, service).has_value();
  };
  engine_ = std::make_unique<Engine>(Ports{.reactors = {{&reactor_, &examiner_}},
                                           .store = &store_,
                                           .leases = &store_,
                                           .inbox = &store_,
                                           .reader = &store_,
                                           .catalog = &store_,
                                           .random = &random_,
                                           .observer = &observer_},
                                     options);
  rest_ = std::make_unique<rest::Server>(std::vector<asio::Reactor*>{&reactor_}, *engine_,
                                         rest::Options{.port = 0, .version = options_.version});
  thread_ = std::thread([this] { reactor_.run(); });
  const auto port = rest_->listen();
  if (!port) return port.error();
  engine_->registry().set_callback_base("http://127.0.0.1:" + std::to_string(*port));
  auto opened = answer_of<Done>([this](auto done) { engine_->open(std::move(done)); });
  if (!opened) return opened;
  if (auto done = register_services(documents); !done) return done;
  if (auto done = register_definitions(documents); !done) return done;
  auto program = engine_->registry().program(documents[0].value("name", ""), std::nullopt);
  if (!program) return std::move(program).error();
  program_ = std::move(*program);
  return Done{};
}

/// Every service that is used by its name.
Result<Done> World::register_services(const std::vector<Json>& documents) {
  std::map<std::string, Json> wanted = options_.services;
  for (const Json& document : documents) {
    const Json services = document.value("services", Json::object());
    for (const auto& [name, service] : services.items()) {
      if (!service.is_object() || !service.contains("use")) continue;
      const std::string use = service["use"].is_string() ? service["use"].get<std::string>() : "";
      for (const std::string& called : {name, use}) {
        const auto url = options_.base_urls.find(called);
        if (url != options_.base_urls.end()) wanted[use]["baseUrl"] = url->second;
      }
      if (!wanted.contains(use)) {
        return Error{ErrorCode::invalid, "service-missing",
                     "Where does the service " + use + " run? Say --base-url " + use +
                         "=URL, or --service " + use + "=FILE."};
      }
    }
  }
  for (const auto& [name, document] : wanted) {
    auto put =
        answer_of<ServiceRegistration>([&, name = name, text = json_text(document)](auto done) {
          engine_->registry().put_service(name, text, std::move(done));
        });
    if (!put) return std::move(put).error();
    if (has_errors(put->findings)) {
      return dsl::with_errors(
          {ErrorCode::invalid, "service-invalid", "The service " + name + " cannot be registered."},
          put->findings);
    }
  }
  return Done{};
}

/// Sub-sagas first: they are given behind those that run them.
Result<Done> World::register_definitions(const std::vector<Json>& documents) {
  Json document;
  for (auto given = documents.rbegin(); given != documents.rend(); ++given) {
    document = *given;
    // A service written in the definition may be told to run somewhere else.
    if (document.contains("services") && document["services"].is_object()) {
      for (auto& [name, service] : document["services"].items()) {
        const auto url = options_.base_urls.find(name);
        if (url != options_.base_urls.end() && service.is_object() && !service.contains("use"))
          service["baseUrl"] = url->second;
      }
    }
    auto stored = answer_of<Registration>([&](auto done) {
      engine_->registry().register_definition(json_text(document), true, std::move(done));
    });
    if (!stored) return std::move(stored).error();
    if (has_errors(stored->findings)) {
      return dsl::with_errors({ErrorCode::invalid, "definition-invalid",
                               "The definition " + document.value("name", "") +
                                   " cannot be registered. Those of its sub-sagas are to be given "
                                   "behind it."},
                              stored->findings);
    }
  }
  register_hurried(std::move(document));
  return Done{};
}

/// The definition that is checked once more, under a version that no other one uses here.
void World::register_hurried(Json document) {
  const Json original = document;
  hurry(document);
  if (document == original) return;
  const std::int64_t version = document.value("version", std::int64_t{1}) + 1;
  document["version"] = version;
  const auto stored = answer_of<Registration>([&](auto done) {
    engine_->registry().register_definition(json_text(document), false, std::move(done));
  });
  if (stored && !has_errors(stored->findings)) hurried_version_ = version;
}

std::vector<std::pair<std::string, std::string>> World::services() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [name, declared] : program_.definition->services) {
    const dsl::Service* service = program_.service(name);
    if (service != nullptr && !service->local) all.emplace_back(name, service->base_url);
  }
  return all;
}

Result<SagaId> World::start(Json input, std::string business_key, bool hurried) {
  StartRequest request;
  request.definition = program_.definition->name;
  request.version = program_.definition->version;
  if (hurried && hurried_version_) request.version = hurried_version_;
  request.input = std::move(input);
  request.business_key = std::move(business_key);
  auto started = answer_of<StartReply>(
      [&](auto done) { engine_->start(0, std::move(request), std::move(done)); });
  if (!started) return std::move(started).error();
  for (const Signal& one : options_.signals) {
    if (auto sent = signal(started->id, one); !sent) return std::move(sent).error();
  }
  return started->id;
}

Result<Done> World::cancel(SagaId saga) {
  return answer_of<Done>([&](auto done) {
    engine_->command(saga, Cancel{"check-participant", "the check takes it back"}, std::move(done));
  });
}

Result<Done> World::retry(SagaId saga) {
  return answer_of<Done>([&](auto done) {
    Retry retry;
    retry.by = "check-participant";
    retry.reason = "the check lets it go on";
    engine_->command(saga, std::move(retry), std::move(done));
  });
}

Result<Done> World::signal(SagaId saga, const Signal& signal) {
  return answer_of<Done>([&](auto done) {
    engine_->command(saga, engine::Signal{signal.name, signal.payload, "check-participant", {"*"}},
                     std::move(done));
  });
}

Json World::view(SagaId saga) {
  auto seen = answer_of<Json>([&](auto done) { engine_->view(saga, std::move(done)); });
  return seen ? std::move(*seen) : Json();
}

}  // namespace backstitch::contract_check
