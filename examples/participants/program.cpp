#include "program.hpp"

#include <sys/resource.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "participants.hpp"
#include "server.hpp"

namespace backstitch::examples {

namespace {

constexpr int decision_delay_max = 600'000;

struct Options {
  int port_base = 0;
  int threads = 1;
  int decision_delay = 300;
  bool print_ports = false;
  bool help = false;
  std::string ledger;
};

std::string usage_of(const Business& business) {
  std::string names;
  for (std::size_t i = 0; i < business.services.size(); ++i) {
    names += i == 0 ? "" : ", ";
    names +=
        std::string(business.services[i].name) + (i == 0 ? " on N" : " N+" + std::to_string(i));
  }
  std::string text(business.program);
  text += ": the services of the " + std::string(business.saga) + " saga, on 127.0.0.1\n";
  text += "  --port-base N   " + names + ";\n";
  text +=
      "                  0 picks free ports (default " + std::to_string(business.port_base) + ")\n";
  text +=
      "  --print-ports   prints one JSON line with every service's URL once they listen\n"
      "  --ledger FILE   keeps the ledger in FILE and continues from it\n"
      "  --threads N     default 1\n";
  for (const Route& route : business.routes) {
    if (route.accept == nullptr) continue;
    text += "  --decide-after MS  how long an accepted request is thought over (default 300)\n";
    break;
  }
  return text;
}

bool read_number(std::string_view text, int minimum, int maximum, int& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc{} && end == text.data() + text.size() && number >= minimum &&
         number <= maximum;
}

std::optional<Options> options_of(int count, char** arguments, const Business& business) {
  const int port_base_max = 65535 - static_cast<int>(business.services.size()) + 1;
  Options options;
  options.port_base = business.port_base;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    const bool has_value = i + 1 < count;
    if (name == "--print-ports") {
      options.print_ports = true;
    } else if (name == "--help") {
      options.help = true;
    } else if (name == "--ledger" && has_value) {
      options.ledger = arguments[++i];
    } else if (name == "--port-base" && has_value) {
      if (!read_number(arguments[++i], 0, port_base_max, options.port_base)) return std::nullopt;
    } else if (name == "--threads" && has_value) {
      if (!read_number(arguments[++i], 1, 64, options.threads)) return std::nullopt;
    } else if (name == "--decide-after" && has_value) {
      if (!read_number(arguments[++i], 0, decision_delay_max, options.decision_delay)) {
        return std::nullopt;
      }
    } else {
      return std::nullopt;
    }
  }
  return options;
}

/// The benchmark holds thousands of connections; the usual soft limit is 1,024 descriptors.
void allow_many_connections() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int complain(const Business& business, const char* what) {
  std::fprintf(stderr, "%s: %s\n", std::string(business.program).c_str(), what);
  return 1;
}

int serve(const Options& options, const Business& business) {
  Participants participants(business, std::chrono::milliseconds{options.decision_delay});
  if (!options.ledger.empty()) {
    const auto wrong = participants.open_ledger(options.ledger);
    if (wrong) return complain(business, wrong->c_str());
  }
  Server server(options.threads);
  std::string urls;
  for (std::size_t i = 0; i < business.services.size(); ++i) {
    const int wanted = options.port_base == 0 ? 0 : options.port_base + static_cast<int>(i);
    const int port = server.listen(static_cast<std::uint16_t>(wanted), participants.handler(i));
    urls += (urls.empty() ? "{\"" : ",\"") + std::string(business.services[i].name) +
            "\":\"http://127.0.0.1:" + std::to_string(port) + '"';
  }
  if (options.print_ports) {
    std::printf("%s}\n", urls.c_str());
    std::fflush(stdout);
  }
  server.run();
  return 0;
}

}  // namespace

int run_program(int count, char** arguments, const Business& business) {
  const auto options = options_of(count, arguments, business);
  if (!options) {
    std::fputs(usage_of(business).c_str(), stderr);
    return 2;
  }
  if (options->help) {
    std::fputs(usage_of(business).c_str(), stdout);
    return 0;
  }
  allow_many_connections();
  try {
    return serve(*options, business);
  } catch (const std::exception& error) {
    return complain(business, error.what());
  }
}

}  // namespace backstitch::examples
