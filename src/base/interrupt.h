// Ctrl-C as an Error that unwinds, so that temporary files go and nothing is left half done.
#pragma once

namespace tenon {

/// Catches SIGINT and SIGTERM from now on: the first sets the flag, a second one ends the process.
void catch_interrupts();
bool interrupted() noexcept;
/// Throws Error(interrupted) once the flag is set. Long loops call it at every step.
void check_interrupt();

}  // namespace tenon
