// The models of a server by name: known, loading, ready, unloaded; and what happened to each.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "serving/http/workers.h"
#include "serving/model_stats.h"
#include "serving/served_model.h"

namespace tenon::serving {

/// No model, or no such version of it, is ready under this name. Its code is `usage`.
class UnknownModel : public Error {
 public:
  explicit UnknownModel(std::string message) : Error(ErrorCode::usage, std::move(message)) {}
};

/// Any number of threads. Names are looked up, never made into paths.
class ModelRegistry {
 public:
  using Loader = std::function<std::shared_ptr<ServedModel>()>;

  /// Makes a name known, not yet loaded. Error(usage): the name does not match
  /// [A-Za-z0-9][A-Za-z0-9._-]{0,127}, or stands already.
  void add(const std::string& name, Loader loader);
  /// Loads, or replaces what is loaded once the new one is ready. UnknownModel for another name;
  /// what the loader throws leaves what was there.
  void load(const std::string& name);
  /// Requests under way keep the model until they end.
  void unload(const std::string& name);

  struct Held {
    std::shared_ptr<ServedModel> model;
    std::shared_ptr<ModelStats> stats;
    ServedModel* operator->() const { return model.get(); }
  };
  /// `version` may be empty for the newest.
  Held get(std::string_view name, std::string_view version = {}) const;
  /// Of those that are ready, the oldest first.
  std::vector<std::string> versions(std::string_view name) const;
  /// All that are ready, by name.
  std::vector<Held> ready_models() const;
  /// Whether every known model is ready but those that were unloaded by request.
  bool ready() const;

  struct Entry {
    std::string name;
    std::string state;  ///< READY, LOADING, UNAVAILABLE
    std::string reason;
  };
  std::vector<Entry> index() const;

 private:
  struct Place {
    Loader loader;
    std::shared_ptr<ServedModel> model;
    std::shared_ptr<ModelStats> stats = std::make_shared<ModelStats>();
    bool loading = false;
    bool unloaded = false;
    std::string reason;
  };
  Place& place(const std::string& name);

  // The last to hold a model may be its own thread, which cannot end itself: models end here.
  std::shared_ptr<http::Workers> undertaker_ =
      std::make_shared<http::Workers>(1, std::size_t{1} << 20);
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace tenon::serving
