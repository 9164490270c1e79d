// usage: hostile_participant PLAIN_PORT TLS_PORT CERTIFICATE_FILE
// Behaves as the paths of the requests say, see behaviours.cpp, until its standard input ends.
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "participant.hpp"

int main(int count, char** arguments) {
  using namespace backstitch::hostile;  // NOLINT
  if (count != 4) {
    std::cerr << "usage: hostile_participant PLAIN_PORT TLS_PORT CERTIFICATE_FILE\n";
    return 2;
  }
  const auto port = [&](int i) {
    return static_cast<std::uint16_t>(std::strtoul(arguments[i], nullptr, 10));
  };
  const Participant plain(Wire::plain, behave_by_path, {}, port(1));
  const Participant tls(Wire::tls, behave_by_path, {}, port(2));
  std::ofstream(arguments[3]) << tls.certificate();
  std::cout << "listening" << std::endl;
  std::string ignored;
  while (std::getline(std::cin, ignored)) {
  }
  return 0;
}
