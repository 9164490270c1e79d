/// register, definitions, services: what this environment knows.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "../member_text.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct RegisterOptions {
  std::vector<std::string> files;
  bool activate = false;
  bool dry_run = false;
};

std::string registered_line(const Global& global, const Json& done) {
  const std::string what = done.value("dryRun", false)
                               ? "would register (" + text_of(done, "outcome") + ")"
                               : "registered";
  return global.terminal.paint(Style::good, what) + " " + text_of(done, "name") + " version " +
         std::to_string(done.value("version", 0)) +
         (done.value("active", false) ? " (active)" : "");
}

void print_findings(const Global& global, const Json& answer) {
  for (const auto& finding : answer.value("findings", Json::array())) {
    const std::string severity = text_of(finding, "severity");
    const Style style = severity == "warning" ? Style::warn : Style::dim;
    print(stdout, "%s %s: %s\n", global.terminal.paint(style, severity).c_str(),
          text_of(finding, "code").c_str(), text_of(finding, "message").c_str());
  }
}

int register_files(const Global& global, const RegisterOptions& options) {
  auto client = global.client();
  Json results = Json::array();
  int code = exit_done;
  for (const auto& file : options.files) {
    const auto text = read_text(file);
    auto done = !text             ? Result<Json>(text.error())
                : options.dry_run ? client.register_dry_run(*text)
                                  : client.register_definition(*text, options.activate);
    if (!done) {
      code = std::max(code, exit_code_of(done.error()));
      if (!global.json) {
        print(stderr, "%s: ", file.c_str());
        report(global, done.error());
      }
    } else if (!global.json) {
      print(stdout, "%s\n", registered_line(global, *done).c_str());
      print_findings(global, *done);
    }
    Json result = done ? std::move(*done) : error_json(done.error());
    result["file"] = file;
    results.push_back(std::move(result));
  }
  if (global.json) print_json(results);
  return code;
}

int list_definitions(const Global& global) {
  const auto answer = global.client().definitions();
  if (!answer) return report(global, answer.error());
  if (global.json) {
    print_json(*answer);
    return exit_done;
  }
  for (const auto& definition : (*answer)["definitions"]) {
    std::string versions;
    for (const auto& version : definition["versions"]) versions += " " + version.dump();
    print(stdout, "%s active %s, versions%s\n", padded(text_of(definition, "name"), 32).c_str(),
          definition["activeVersion"].dump().c_str(), versions.c_str());
  }
  return exit_done;
}

int list_services(const Global& global) {
  const auto answer = global.client().services();
  if (!answer) return report(global, answer.error());
  if (global.json) {
    print_json(*answer);
    return exit_done;
  }
  for (const auto& entry : (*answer)["services"]) {
    print(stdout, "%s %s\n", padded(text_of(entry, "name"), 24).c_str(),
          entry["service"].value("baseUrl", "local").c_str());
  }
  return exit_done;
}

/// Who calls the service as it is now: `12 running sagas call it`.
std::string callers(const Json& answer) {
  if (!answer.contains("runningSagas")) return "how many running sagas call it is not known";
  const auto sagas = answer.value("runningSagas", std::size_t{0});
  return (answer.value("moreSagas", false) ? "more than " : "") + std::to_string(sagas) +
         " running saga" + (sagas == 1 ? " calls it" : "s call it");
}

int show_service(const Global& global, const std::string& name) {
  const auto answer = global.client().service(name);
  if (!answer) return report(global, answer.error());
  if (global.json) {
    print_json(*answer);
    return exit_done;
  }
  print(stdout, "%s\n%s\n", (*answer)["service"].dump(2).c_str(), callers(*answer).c_str());
  return exit_done;
}

int put_service(const Global& global, const std::string& name, const std::string& file) {
  const auto text = read_document(file);
  if (!text) return report(global, text.error());
  const auto answer = global.client().put_service(name, *text);
  if (!answer) return report(global, answer.error());
  if (global.json) {
    print_json(*answer);
    return exit_done;
  }
  print(stdout, "%s service %s; %s\n", global.terminal.paint(Style::good, "stored").c_str(),
        name.c_str(), callers(*answer).c_str());
  print_findings(global, *answer);
  return exit_done;
}

}  // namespace

void add_register(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("register", "Register definitions with the server");
  auto options = std::make_shared<RegisterOptions>();
  command->add_option("FILE", options->files, "Definition files, - for standard input")->required();
  command->add_flag("--activate", options->activate, "Make the version the active one of its name");
  command->add_flag("--dry-run", options->dry_run,
                    "Only say what the server would answer; nothing is stored");
  add_client_options(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] { return register_files(global, *options); };
  });
}

void add_definitions(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("definitions", "List what is registered");
  add_client_options(*command, global);
  command->callback([&global] { global.run = [&global] { return list_definitions(global); }; });
}

void add_services(CLI::App& app, Global& global) {
  auto* command =
      app.add_subcommand("services", "List the services of this environment, show or store one");
  add_client_options(*command, global);
  auto* put = command->add_subcommand("put", "Store a service under a name");
  struct Put {
    std::string name, file;
  };
  auto options = std::make_shared<Put>();
  put->add_option("NAME", options->name, "Name that definitions refer to with `use`")->required();
  put->add_option("FILE", options->file, "Service: a file, - for standard input, or JSON")
      ->required();
  put->fallthrough();
  auto* show = command->add_subcommand("show", "Show a service and how many running sagas call it");
  show->add_option("NAME", options->name, "Name of the service")->required();
  show->fallthrough();
  command->require_subcommand(0, 1);
  command->callback([&global, put, show, options] {
    const bool storing = put->parsed();
    const bool showing = show->parsed();
    global.run = [&global, storing, showing, options] {
      if (storing) return put_service(global, options->name, options->file);
      return showing ? show_service(global, options->name) : list_services(global);
    };
  });
}

}  // namespace backstitch::app
