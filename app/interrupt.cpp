#include "interrupt.hpp"

#include <csignal>

namespace backstitch::app {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

void note_interrupt(int) {
  interrupt_seen = 1;
  std::signal(SIGINT, SIG_DFL);
}

}  // namespace

InterruptWatch::InterruptWatch() {
  interrupt_seen = 0;
  std::signal(SIGINT, note_interrupt);
}

InterruptWatch::~InterruptWatch() {
  std::signal(SIGINT, SIG_DFL);
}

bool InterruptWatch::is_interrupted() const {
  return interrupt_seen != 0;
}

}  // namespace backstitch::app
