// Follows a repository: what is new is loaded, what changed is loaded again, what went is unloaded.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "serving/model_registry.h"
#include "serving/repository/repository.h"

namespace tenon::serving {

/// A change is taken when nothing below the model's folder has changed for `settle` and between two
/// looks: a model that is being copied is left alone. What cannot be loaded is logged and stands in
/// the index; it is tried again when it changes.
class RepositoryWatch {
 public:
  struct Times {
    std::chrono::milliseconds interval{15000};
    std::chrono::milliseconds settle{1000};
  };
  /// What lies there now counts as loaded: it is to be loaded after this and before `start`.
  RepositoryWatch(std::shared_ptr<ModelRegistry> models, std::shared_ptr<Repository> repository,
                  const Times& times);
  void start();
  /// Ends after the look under way; ModelRegistry::stop makes that short.
  ~RepositoryWatch();
  RepositoryWatch(const RepositoryWatch&) = delete;
  RepositoryWatch& operator=(const RepositoryWatch&) = delete;

 private:
  struct Seen {
    std::string taken;   // what was last loaded, or tried
    std::string latest;  // what was last seen
  };
  void run();
  bool look();
  void forget_missing(const std::vector<std::string>& names);
  bool follow(const std::string& name, Seen& seen);

  std::shared_ptr<ModelRegistry> models_;
  std::shared_ptr<Repository> repository_;
  Times times_;
  std::map<std::string, Seen> seen_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tenon::serving
