// One level of load: requests in flight by their schedule, a record for each.
#pragma once

#include <functional>
#include <vector>

#include "traffic/api.h"
#include "traffic/http_client.h"
#include "traffic/record.h"

namespace tenon::traffic {

/// Closed loop: `users` ask, each its next question once the last is answered. Open loop: requests
/// are sent when `arrivals` says, whatever is still under way.
struct Plan {
  std::size_t users = 1;         ///< of a closed loop
  std::vector<double> arrivals;  ///< seconds, rising; not empty: an open loop
  std::size_t requests = 0;      ///< of a closed loop; 0: no bound
  double duration = 0;           ///< seconds in which requests are sent; 0: no bound
  std::size_t first_index = 0;   ///< number of the first request, for prompts
};

struct Level {
  std::vector<Record> records;  ///< in the order of sending
  /// Seconds from the start to the moment at which load began to fall: a user of a closed loop
  /// found nothing left to ask, or the last arrival of an open loop.
  double full_until = 0;
  double seconds = 0;      ///< until the last answer
  double latest_send = 0;  ///< how late a request was sent at worst, by our own fault
  bool stopped = false;    ///< `go_on` said no before the end
};

/// Told about twenty times a second: seconds since the start and answers so far. False ends the
/// level: requests under way become records that were cancelled.
using OnTick = std::function<bool(double seconds, std::size_t answered)>;

/// Runs to the end of the plan and of every request. At least one of requests, duration and
/// arrivals bounds it.
Level run_load(HttpClient& client, const Api& api, const Plan& plan, const OnTick& on_tick);

}  // namespace tenon::traffic
