// One line of progress with an honest estimate, on a terminal only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tenon {

/// Counts work done against a total in any unit. Draws at most ten times a second on standard error
/// when that is a terminal, nothing otherwise. The estimate is the mean speed so far. `advance`
/// also raises Error(interrupted) after Ctrl-C. One thread.
class Progress {
 public:
  Progress(std::string label, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t amount);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now);

  std::string label_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool terminal_;
  Clock::time_point start_;
  Clock::time_point drawn_;
};

/// `1:05`, `2:03:09`
std::string format_duration(double seconds);
/// `13.5 GB`, `420 KB`: decimal units, three digits
std::string format_bytes(std::uint64_t bytes);
/// `8G`, `1500M`, `64KiB`, `123`: bytes; throws Error(usage)
std::uint64_t parse_bytes(const std::string& text);

}  // namespace tenon
