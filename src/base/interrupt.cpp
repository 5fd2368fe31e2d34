#include "base/interrupt.h"

#include <csignal>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;
thread_local const std::atomic<bool>* t_flag = nullptr;

extern "C" void on_signal(int signal) {
  if (g_interrupted != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_interrupted = 1;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() noexcept { return g_interrupted != 0; }

void check_interrupt() {
  const bool unwanted = t_flag != nullptr && *t_flag;
  if (interrupted() || unwanted) throw Error(ErrorCode::interrupted, "interrupted");
}

InterruptScope::InterruptScope(const std::atomic<bool>& flag) noexcept
    : outer_(std::exchange(t_flag, &flag)) {}

InterruptScope::~InterruptScope() { t_flag = outer_; }

}  // namespace tenon
