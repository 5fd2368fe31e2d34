// Ctrl-C as an Error that unwinds, so that temporary files go and nothing is left half done.
#pragma once

#include <atomic>

namespace tenon {

/// Catches SIGINT and SIGTERM from now on: the first sets the flag, a second one ends the process.
void catch_interrupts();
bool interrupted() noexcept;
/// Throws Error(interrupted) once the flag is set. Long loops call it at every step.
void check_interrupt();

/// While it lives, check_interrupt in this thread throws also once `flag` is set: for work that one
/// caller no longer wants. The flag must outlive it. The innermost one counts.
class InterruptScope {
 public:
  explicit InterruptScope(const std::atomic<bool>& flag) noexcept;
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  const std::atomic<bool>* outer_;
};

}  // namespace tenon
