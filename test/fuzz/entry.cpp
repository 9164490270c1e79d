/// How libFuzzer calls a target.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  backstitch::fuzz::look_at({reinterpret_cast<const char*>(data), size});
  return 0;
}
