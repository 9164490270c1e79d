#include "server_options.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <backstitch/system/secrets.hpp>

#include "config_file.hpp"
#include "global.hpp"
#include "usage.hpp"

namespace backstitch::app {
namespace {

/// CLI11 has a reader of its own, for options of the whole program only; it splits strings at `#`
/// and reads a directory as an empty file.
class ConfigFile {
 public:
  ConfigFile(CLI::App& command, std::string file) : command_(command), file_(std::move(file)) {
    for (const CLI::Option* option : command_.get_options()) {
      if (!option->empty()) given_.insert(option);
    }
  }

  void apply() {
    const auto text = read_text(file_);
    if (!text) throw_usage("--config: " + text.error().message);
    const auto entries = parse_config(*text);
    if (!entries) throw_usage(file_ + ", " + entries.error().message);
    for (const ConfigEntry& entry : *entries) apply(entry);
  }

 private:
  void apply(const ConfigEntry& entry) {
    const std::string place = file_ + ", line " + std::to_string(entry.line) + ": ";
    CLI::Option* option =
        is_config_key(entry.key) ? command_.get_option_no_throw("--" + entry.key) : nullptr;
    if (option == nullptr) throw_usage(place + unknown_key(command_, entry.key));
    if (const std::string flaw = flaw_of(*option, entry); !flaw.empty())
      throw_usage(place + "`" + entry.key + "` " + flaw);
    if (is_given(*option) || entry.values.empty()) return;
    for (const ConfigValue& value : entry.values)
      option->add_result(is_path(*option) ? beside_file(value.text) : value.text);
    try {
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw_usage(place + error.what());
    }
  }

  /// @return why the option does not take these values; empty: it does
  static std::string flaw_of(const CLI::Option& option, const ConfigEntry& entry) {
    if (entry.is_array && option.get_expected_max() <= 1)
      return "takes one value; write it without brackets";
    const bool is_flag = option.get_expected_max() == 0;
    const std::string type = option.get_type_name();
    const bool is_number = type.starts_with("UINT") || type.starts_with("INT");
    const ConfigType expected = is_flag     ? ConfigType::boolean
                                : is_number ? ConfigType::integer
                                            : ConfigType::string;
    const bool fits = std::all_of(entry.values.begin(), entry.values.end(),
                                  [&](const ConfigValue& value) { return value.type == expected; });
    if (fits) return {};
    return is_flag     ? "is true or false, without quotes"
           : is_number ? "is an integer, without quotes"
                       : "is a string; write it in quotes";
  }

  static bool is_path(const CLI::Option& option) { return option.get_type_name() == path_type; }

  /// A file that names others works wherever the program is started.
  std::string beside_file(const std::string& path) const {
    return (std::filesystem::path(file_).parent_path() / path).string();
  }

  /// Outside of the file, by itself or by an option that takes its place.
  bool is_given(const CLI::Option& option) const {
    const auto excluded = option.get_excludes();
    return given_.contains(&option) ||
           std::any_of(excluded.begin(), excluded.end(),
                       [&](const CLI::Option* other) { return given_.contains(other); });
  }

  CLI::App& command_;
  const std::string file_;
  std::set<const CLI::Option*> given_;
};

}  // namespace

void add_config_file(CLI::App& command) {
  command.add_option_function<std::string>(
      "--config", [&command](const std::string& file) { ConfigFile(command, file).apply(); },
      "File with these options, as `name = \"value\"` a line (TOML)");
}

void add_database(CLI::App& command, std::string& database) {
  CLI::Option* url = command
                         .add_option("--database", database,
                                     "PostgreSQL URL, e.g. postgresql://user@host/name, or a "
                                     "connection string, e.g. service=backstitch")
                         ->envname("BACKSTITCH_DATABASE");
  const auto read = [&database](const std::string& file) {
    auto secret = system::read_secret(file);
    if (!secret) throw_usage("--database-file: " + secret.error().message);
    database = std::move(*secret);
    if (database.empty()) throw_usage("--database-file: " + file + " is empty");
    if (database.find_first_of("\r\n") != std::string::npos)
      throw_usage("--database-file: " + file + " has several lines; write the URL alone into it");
  };
  command
      .add_option_function<std::string>(
          "--database-file", read,
          "File with the URL of the database, which only its owner and group may read")
      ->type_name(path_type)
      ->excludes(url);
}

void require_database(const std::string& database) {
  if (!database.empty()) return;
  throw_usage(
      "no database is given; use --database URL, --database-file FILE or BACKSTITCH_DATABASE");
}

void add_duration(CLI::App& command, const std::string& name, Duration& value, Duration min,
                  Duration max, const std::string& description) {
  const auto read = [&value, name, min, max](const std::string& text) {
    const auto duration = parse_duration(text);
    if (!duration || *duration < min || *duration > max) {
      throw_usage("`" + text + "` is not a valid " + name + "; write a duration from " +
                  to_text(min) + " to " + to_text(max) + ", like 90s or 2h");
    }
    value = *duration;
  };
  command.add_option_function<std::string>(name, read, description);
}

}  // namespace backstitch::app
