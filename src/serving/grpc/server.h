// KServe v2 over gRPC, with Triton's extensions: limits on everything a client sends, keys, TLS,
// and an end that loses no answer.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "serving/grpc/call.h"
#include "serving/kserve/context.h"

namespace tenon::serving::grpc {

struct Limits {
  std::uint64_t message_bytes = std::uint64_t{64} << 20;  ///< of one question
  std::uint64_t all_bytes = std::uint64_t{1} << 30;       ///< of all that gRPC holds
  int metadata_bytes = 32 << 10;
  int streams = 256;  ///< calls under way on one connection
  std::size_t workers = 32;
  std::size_t queue = 256;                     ///< calls that may wait for a worker
  std::chrono::seconds keepalive{60};          ///< silence before a client is asked for a sign
  std::chrono::seconds keepalive_timeout{20};  ///< for the sign; then its calls are cancelled
};

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
  Limits limits;
  Gate gate;
  std::filesystem::path certificate;  ///< PEM chain; empty: no TLS
  std::filesystem::path private_key;
};

class Server {
 public:
  /// Answers from now on. Error(resource) when the port cannot be had, Error(bad_input) when
  /// certificate or key cannot be read.
  Server(const Options& options, kserve::Context context);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  /// Takes no new calls and waits until those under way have ended, at most for `patience`; then
  /// cancels the rest.
  void drain(std::chrono::milliseconds patience);

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace tenon::serving::grpc
