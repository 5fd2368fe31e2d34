// Where a server is: http or https, host, port and the path in front of every route.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::traffic {

struct Url {
  bool tls = false;
  std::string host;  ///< a name or an address; IPv6 without brackets
  std::uint16_t port = 80;
  std::string path;  ///< "" or "/prefix", without a slash at its end

  /// Host and port as the Host header gives them.
  std::string authority() const;
  std::string text() const;
};

/// `http://host:port/prefix`, `https://host`, `host:port` (http). Error(usage) for anything else:
/// other schemes, a name and password, a query, a port outside 1 to 65535.
Url parse_url(std::string_view text);

}  // namespace tenon::traffic
