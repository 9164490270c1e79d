#include <sys/resource.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "server.hpp"
#include "services.hpp"

namespace {

using backstitch::examples::Participants;
using backstitch::examples::Server;
using backstitch::examples::service_names;

constexpr const char* usage =
    "order-participants: the services of the order saga, on 127.0.0.1\n"
    "  --port-base N   orders on N, inventory N+1, payments N+2, shipping N+3, mail N+4;\n"
    "                  0 picks free ports (default 7500)\n"
    "  --print-ports   prints one JSON line with every service's URL once they listen\n"
    "  --ledger FILE   keeps the ledger in FILE and continues from it\n"
    "  --threads N     default 1\n";

struct Options {
  int port_base = 7500;
  int threads = 1;
  bool print_ports = false;
  bool help = false;
  std::string ledger;
};

bool read_number(std::string_view text, int minimum, int maximum, int& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc{} && end == text.data() + text.size() && number >= minimum &&
         number <= maximum;
}

std::optional<Options> options_of(int count, char** arguments) {
  constexpr int port_base_max = 65535 - static_cast<int>(service_names.size()) + 1;
  Options options;
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

int serve(const Options& options) {
  Participants participants;
  if (!options.ledger.empty()) {
    if (const auto wrong = participants.open_ledger(options.ledger)) {
      std::fprintf(stderr, "order-participants: %s\n", wrong->c_str());
      return 1;
    }
  }
  Server server(options.threads);
  std::string urls;
  for (std::size_t i = 0; i < service_names.size(); ++i) {
    const int wanted = options.port_base == 0 ? 0 : options.port_base + static_cast<int>(i);
    const int port = server.listen(static_cast<std::uint16_t>(wanted), participants.handler(i));
    urls += (urls.empty() ? "{\"" : ",\"") + std::string(service_names[i]) +
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

int main(int count, char** arguments) {
  const auto options = options_of(count, arguments);
  if (!options) {
    std::fputs(usage, stderr);
    return 2;
  }
  if (options->help) {
    std::fputs(usage, stdout);
    return 0;
  }
  allow_many_connections();
  try {
    return serve(*options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "order-participants: %s\n", error.what());
    return 1;
  }
}
