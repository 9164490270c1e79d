/// list, show, history, watch: the commands that read sagas.
#include <cstdio>
#include <memory>

#include "../follow.hpp"
#include "../saga_choice.hpp"
#include "../timeline.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

constexpr std::size_t history_page = 500;

struct ListOptions {
  std::vector<std::string> statuses, labels;
  std::string definition, business_key, after, before, failure_code, cursor;
  std::size_t limit = 50;
  bool all = false;
};

Result<client::Query> filters_of(const ListOptions& options) {
  client::Query query;
  for (const auto& status : options.statuses) query.emplace_back("status", status);
  for (const auto& label : options.labels) {
    auto pair = split_named("--label", label);
    if (!pair) return std::move(pair).error();
    query.emplace_back("label." + pair->first, std::move(pair->second));
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

/// Hands every saga of one page, or with --all of every page, to `use`. @return the cursor of the
/// next page, null if there is none
template <class Use>
Result<Json> each_saga(const Global& global, const ListOptions& options, Use&& use) {
  const auto filters = filters_of(options);
  if (!filters) return filters.error();
  auto client = global.client();
  Json cursor = options.cursor.empty() ? Json() : Json(options.cursor);
  do {
    client::Query query = *filters;
    if (cursor.is_string()) query.emplace_back("cursor", cursor.get<std::string>());
    auto page = client.sagas(query);
    if (!page) return page;
    for (auto& saga : (*page)["sagas"]) use(std::move(saga));
    cursor = std::move((*page)["cursor"]);
  } while (options.all && cursor.is_string());
  return cursor;
}

int list_sagas(const Global& global, const ListOptions& options) {
  Json sagas = Json::array();
  auto cursor = each_saga(global, options, [&](Json saga) {
    if (global.json)
      sagas.push_back(std::move(saga));
    else
      print(stdout, "%s", summary_line(saga, global.terminal).c_str());
  });
  if (!cursor) return report(global, cursor.error());
  if (global.json) {
    print_json({{"sagas", std::move(sagas)}, {"cursor", std::move(*cursor)}});
  } else if (cursor->is_string()) {
    std::fflush(stdout);
    print(stderr, "There are more sagas: add --cursor %s for the next page, or --all for all.\n",
          cursor->get<std::string>().c_str());
  }
  return exit_done;
}

int show_saga(const Global& global, const std::string& id) {
  const auto saga = global.client().saga(id);
  if (!saga) return report(global, saga.error());
  if (global.json)
    print_json(*saga);
  else
    print(stdout, "%s", timeline(*saga, global.terminal).c_str());
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
      print(stdout, "%s", event_line(event, global.terminal).c_str());
  });
  if (!last) return report(global, last.error());
  if (global.json) print_json({{"events", std::move(events)}, {"next", nullptr}});
  return exit_done;
}

/// Prints events as they come (as JSON lines with --json), and the timeline at the end.
int watch_saga(const Global& global, const std::string& id) {
  auto client = global.client();
  const InterruptWatch interrupt;
  std::int64_t after = 0;
  const auto saga =
      follow_saga(global, client, id, std::nullopt, interrupt, [&](const Json&) -> Result<Done> {
        // After the saga was read: the events of what was seen of it are there.
        const auto last = each_event(client, id, after, [&](const Json& event) {
          print(stdout, "%s",
                global.json ? (event.dump() + "\n").c_str()
                            : event_line(event, global.terminal).c_str());
        });
        std::fflush(stdout);
        if (!last) return last.error();
        after = *last;
        return Done{};
      });
  if (!saga) return report(global, saga.error());
  const int code = exit_code_of_saga(*saga);
  if (code == exit_undecided)
    print_how_to_go_on(global, *saga, interrupt);
  else if (!global.json)
    print(stdout, "%s", timeline(*saga, global.terminal).c_str());
  return code;
}

/// A command that reads one saga and takes nothing else.
void add_reader(CLI::App& app, Global& global, const char* name, const char* help,
                int (*run)(const Global&, const std::string& id)) {
  auto* command = app.add_subcommand(name, help);
  auto choice = std::make_shared<SagaChoice>();
  add_saga_to_read(*command, *choice);
  add_client_options(*command, global);
  command->callback([&global, choice, run] {
    settle_positionals(*choice, nullptr);
    global.run = [&global, choice, run] {
      auto client = global.client();
      const auto id = find_to_read(client, *choice);
      return id ? run(global, *id) : report(global, id.error());
    };
  });
}

}  // namespace

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
  command->add_option("--cursor", options->cursor, "Go on after this saga: the next page");
  command->add_flag("--all", options->all, "Every page");
  add_client_options(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] { return list_sagas(global, *options); };
  });
}

void add_show(CLI::App& app, Global& global) {
  add_reader(app, global, "show", "Show a saga: steps, attempts, times, undo", show_saga);
}
void add_history(CLI::App& app, Global& global) {
  add_reader(app, global, "history", "Print a saga's log", show_history);
}
void add_watch(CLI::App& app, Global& global) {
  add_reader(app, global, "watch", "Follow a saga until it ends or needs a person", watch_saga);
}

}  // namespace backstitch::app
