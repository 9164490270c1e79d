/// start, list, show, history, watch.
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include <backstitch/base/time.hpp>

#include "../timeline.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

constexpr std::size_t history_page = 200;
constexpr std::chrono::milliseconds watch_every{200};

bool has_stopped(const std::string& status) {
  return status != "RUNNING" && status != "COMPENSATING";
}

/// 0 for a saga that completed or still runs, 1 for one that did not make it.
int exit_of(const Json& saga) {
  const std::string status = saga.value("status", "RUNNING");
  return status == "COMPLETED" || !has_stopped(status) ? exit_done : exit_bad;
}

struct StartOptions {
  std::string name;
  std::string input = "-";
  std::int64_t version = 0;
  std::string key;
  std::string business_key;
  std::vector<std::string> labels;
  std::string wait;
};

Result<client::Start> start_of(const StartOptions& options) {
  client::Start start{.definition = options.name};
  auto input = read_json(options.input);
  if (!input) return std::move(input).error();
  start.input = std::move(*input);
  if (options.version > 0) start.version = options.version;
  if (!options.business_key.empty()) start.business_key = options.business_key;
  start.idempotency_key = options.key;
  for (const auto& label : options.labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos) {
      return Error{ErrorCode::invalid, "label-invalid",
                   "A label is NAME=VALUE; `" + label + "` is not."};
    }
    start.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (!options.wait.empty()) {
    start.wait = parse_duration(options.wait);
    if (!start.wait) {
      return Error{ErrorCode::invalid, "duration-invalid", "--wait takes a duration like 30s."};
    }
  }
  return start;
}

int start_saga(const Global& global, const StartOptions& options) {
  const auto start = start_of(options);
  if (!start) return report(global, start.error());
  const auto started = global.client().start(*start);
  if (!started) return report(global, started.error());
  if (global.json)
    print_json(started->saga);
  else if (start->wait)
    std::printf("%s", timeline(started->saga, global.terminal).c_str());
  else
    std::printf("%s%s\n", started->id.c_str(),
                started->created ? "" : "  (already started under this key)");
  return start->wait ? exit_of(started->saga) : exit_done;
}

struct ListOptions {
  std::vector<std::string> statuses, labels;
  std::string definition, business_key, after, before, failure_code;
  std::size_t limit = 50;
  bool all = false;
};

client::Query filters_of(const ListOptions& options) {
  client::Query query;
  for (const auto& status : options.statuses) query.emplace_back("status", status);
  for (const auto& label : options.labels) {
    const auto equals = label.find('=');
    query.emplace_back("label." + label.substr(0, equals),
                       equals == std::string::npos ? "" : label.substr(equals + 1));
  }
  const std::pair<const char*, const std::string*> texts[] = {
      {"definition", &options.definition},
      {"businessKey", &options.business_key},
      {"startedAfter", &options.after},
      {"startedBefore", &options.before},
      {"failureCode", &options.failure_code}};
  for (const auto& [name, value] : texts) {
    if (!value->empty()) query.emplace_back(name, *value);
  }
  query.emplace_back("limit", std::to_string(options.limit));
  return query;
}

int list_sagas(const Global& global, const ListOptions& options) {
  auto client = global.client();
  client::Query query = filters_of(options);
  Json all = Json::array();
  while (true) {
    auto page = client.sagas(query);
    if (!page) return report(global, page.error());
    for (auto& saga : (*page)["sagas"]) {
      if (global.json)
        all.push_back(std::move(saga));
      else
        std::printf("%s", summary_line(saga, global.terminal).c_str());
    }
    if (!options.all || !(*page)["cursor"].is_string()) break;
    if (query.back().first == "cursor") query.pop_back();
    query.emplace_back("cursor", (*page)["cursor"].get<std::string>());
  }
  if (global.json) print_json(all);
  return exit_done;
}

int show_saga(const Global& global, const std::string& id) {
  const auto saga = global.client().saga(id);
  if (!saga) return report(global, saga.error());
  if (global.json)
    print_json(*saga);
  else
    std::printf("%s", timeline(*saga, global.terminal).c_str());
  return exit_done;
}

/// Hands every event after `after` to `use`. @return the last sequence
template <class Use>
Result<std::int64_t> each_event(client::Client& client, const std::string& id, std::int64_t after,
                                Use&& use) {
  while (true) {
    auto page = client.history(id, after, history_page);
    if (!page) return std::move(page).error();
    for (auto& event : (*page)["events"]) {
      after = event.value("sequence", after);
      use(std::move(event));
    }
    if (!(*page)["next"].is_number()) return after;
  }
}

int show_history(const Global& global, const std::string& id) {
  auto client = global.client();
  Json events = Json::array();
  const auto last = each_event(client, id, 0, [&](Json event) {
    if (global.json)
      events.push_back(std::move(event));
    else
      std::printf("%s", event_line(event, global.terminal).c_str());
  });
  if (!last) return report(global, last.error());
  if (global.json) print_json(events);
  return exit_done;
}

/// Prints events as they come (as JSON lines with --json), and the timeline at the end.
int watch_saga(const Global& global, const std::string& id) {
  auto client = global.client();
  const auto since = std::chrono::steady_clock::now();
  std::int64_t after = 0;
  while (true) {
    const auto last = each_event(client, id, after, [&](const Json& event) {
      global.terminal.clear_progress();
      if (global.json)
        std::printf("%s\n", event.dump().c_str());
      else
        std::printf("%s", event_line(event, global.terminal).c_str());
      std::fflush(stdout);
    });
    if (!last) return report(global, last.error());
    after = *last;
    const auto saga = client.saga(id);
    if (!saga) return report(global, saga.error());
    const std::string status = saga->value("status", "");
    if (has_stopped(status)) {
      global.terminal.clear_progress();
      if (!global.json) std::printf("%s", timeline(*saga, global.terminal).c_str());
      return exit_of(*saga);
    }
    const auto waited =
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - since);
    global.terminal.progress(global.terminal.paint(Style::accent, status) + "  watching for " +
                             to_text(std::chrono::floor<std::chrono::seconds>(waited)));
    std::this_thread::sleep_for(watch_every);
  }
}

/// A command that takes a saga's id and nothing else.
void add_by_id(CLI::App& app, Global& global, const char* name, const char* help,
               int (*run)(const Global&, const std::string&)) {
  auto* command = app.add_subcommand(name, help);
  auto id = std::make_shared<std::string>();
  command->add_option("ID", *id, "The saga")->required();
  add_client_options(*command, global);
  command->callback(
      [&global, id, run] { global.run = [&global, id, run] { return run(global, *id); }; });
}

}  // namespace

void add_start(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("start", "Start a saga");
  auto options = std::make_shared<StartOptions>();
  command->add_option("NAME", options->name, "Definition to start")->required();
  command->add_option("--input", options->input, "Input as JSON: a file, or - for standard input")
      ->capture_default_str();
  command->add_option("--version", options->version,
                      "Version of the definition; default: the active one");
  command->add_option("--key", options->key, "Idempotency key: the same key starts one saga only");
  command->add_option("--business-key", options->business_key,
                      "Business key instead of the definition's");
  command->add_option("--label", options->labels, "NAME=VALUE; may be repeated");
  command->add_option("--wait", options->wait, "Wait so long for the end, e.g. 30s");
  add_client_options(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] { return start_saga(global, *options); };
  });
}

void add_list(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("list", "List sagas, newest first");
  auto options = std::make_shared<ListOptions>();
  command->add_option(
      "--status", options->statuses,
      "RUNNING, COMPENSATING, COMPLETED, FAILED, FAILED_INCOMPLETE, SUSPENDED; may be repeated");
  command->add_option("--definition", options->definition, "Name of the definition");
  command->add_option("--business-key", options->business_key, "Business key");
  command->add_option("--label", options->labels, "NAME=VALUE; may be repeated");
  command->add_option("--started-after", options->after, "RFC 3339 time");
  command->add_option("--started-before", options->before, "RFC 3339 time");
  command->add_option("--failure-code", options->failure_code, "Code of the failure");
  command->add_option("--limit", options->limit, "Sagas a page")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  command->add_flag("--all", options->all, "Every page");
  add_client_options(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] { return list_sagas(global, *options); };
  });
}

void add_show(CLI::App& app, Global& global) {
  add_by_id(app, global, "show", "Show a saga: steps, attempts, times, undo", show_saga);
}
void add_history(CLI::App& app, Global& global) {
  add_by_id(app, global, "history", "Print a saga's log", show_history);
}
void add_watch(CLI::App& app, Global& global) {
  add_by_id(app, global, "watch", "Follow a saga until it ends or needs a person", watch_saga);
}

}  // namespace backstitch::app
