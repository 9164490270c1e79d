#include "interrupt.hpp"

#include <csignal>

namespace backstitch::app {
namespace {

using Handler = void (*)(int);

volatile std::sig_atomic_t interrupt_seen = 0;
Handler former_handler = SIG_DFL;

void note_interrupt(int) {
  interrupt_seen = 1;
  std::signal(SIGINT, former_handler);
}

}  // namespace

InterruptWatch::InterruptWatch() {
  interrupt_seen = 0;
  former_handler = std::signal(SIGINT, note_interrupt);
}

InterruptWatch::~InterruptWatch() {
  std::signal(SIGINT, former_handler);
}

bool InterruptWatch::is_interrupted() const {
  return interrupt_seen != 0;
}

}  // namespace backstitch::app
