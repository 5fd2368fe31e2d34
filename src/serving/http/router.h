// The one table of routes: every request passes it, so that none passes by the keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/http/message.h"

namespace tenon::serving::http {

enum class Access { keyed, open };
/// `quick` handlers do not block: they run at once, even when all workers are busy.
enum class Pace { worker, quick };

struct Route {
  std::string method;
  std::string pattern;  ///< "/v2/models/{model}/infer"
  Handler handler;
  Access access = Access::keyed;
  Pace pace = Pace::worker;
};

/// Fill it, then share it: matching is const and any number of threads may do it.
class Router {
 public:
  void add(Route route);

  struct Match {
    const Route* route = nullptr;  ///< null: `status` says why
    int status = 404;              ///< 400, 404 or 405
    std::string allow;             ///< methods of the path, with 405
    std::map<std::string, std::string, std::less<>> parts;
  };
  /// A segment is decoded (%41) after the path was split; one that then is empty, "." or "..", or
  /// holds a slash or a control character, matches nothing. HEAD goes to GET.
  Match match(std::string_view method, std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
  std::vector<std::vector<std::string>> segments_;  // of the patterns
};

/// Nothing when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace tenon::serving::http
