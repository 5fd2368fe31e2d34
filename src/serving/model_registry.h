// The models of a server by name and version: known, loading, ready, unloaded; and what happened
// to each.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "serving/catalogue.h"
#include "serving/http/workers.h"
#include "serving/model_stats.h"

namespace tenon::serving {

/// Whether this can be the name of a model: [A-Za-z0-9][A-Za-z0-9._-]{0,127}, and no device of
/// another system (CON, NUL, ...).
bool is_model_name(std::string_view name);

/// Any number of threads. Names are looked up, never made into paths.
class ModelRegistry {
 public:
  using Loader = std::function<std::shared_ptr<ServedModel>()>;

  /// What clients may do.
  enum class Control {
    fixed,     ///< load again and unload what the server was started with
    polled,    ///< nothing: the repository decides
    on_demand  ///< all, also with parameters
  };
  void set_control(Control control) { control_ = control; }
  /// False: `ready` is always true.
  void set_strict_readiness(bool strict) { strict_ = strict; }

  /// Makes a name known that has one version, not yet loaded. Error(usage): it cannot be a name, or
  /// stands already.
  void add(const std::string& name, Loader loader);
  /// Where other names are looked up. Before anything is loaded.
  void set_catalogue(std::shared_ptr<Catalogue> catalogue) { catalogue_ = std::move(catalogue); }
  /// Makes a name of the catalogue known: the server is not ready before it is. Error as of `add`,
  /// but a name that stands already may.
  void expect(const std::string& name);

  /// For a client: loads the versions that the catalogue plans, each anew; what there was answers
  /// until the new ones are warm, then goes. UnknownModel for a name that nobody knows;
  /// Error(bad_input) when `control` does not allow it. When a version fails, the error is thrown:
  /// what was ready stays as it was, and where nothing was, the other versions get ready. Loads of
  /// one name wait for each other.
  void load(const std::string& name, const LoadParameters& parameters = {});
  /// The same for the server itself: allowed always, and versions whose stamp is the same stay.
  void refresh(const std::string& name);
  /// For a client: all versions go. Requests under way keep theirs until they end; a load under way
  /// fails. Error as of `load`.
  void unload(const std::string& name);
  /// The same for the server itself, and the name is no longer known.
  void forget(const std::string& name);
  /// Loads under way fail with Error(interrupted), and those to come.
  void stop();

  struct Held {
    std::shared_ptr<ServedModel> model;
    std::shared_ptr<ModelStats> stats;
    ServedModel* operator->() const { return model.get(); }
  };
  /// `version` may be empty for the newest.
  Held get(std::string_view name, std::string_view version = {}) const;
  /// Of those that are ready, the oldest first.
  std::vector<std::string> versions(std::string_view name) const;
  /// All versions that are ready, by name.
  std::vector<Held> ready_models() const;
  /// Whether every known model has a version that is ready, but those that were unloaded by
  /// request.
  bool ready() const;
  /// Names that are known, in order.
  std::vector<std::string> names() const;

  struct Entry {
    std::string name;
    std::string version;  ///< empty while none is known
    std::string state;    ///< READY, LOADING, UNLOADING, UNAVAILABLE
    std::string reason;   ///< why it is not as it should be; of a ready one, why no newer took over
  };
  /// A row for each version, also of models of the catalogue that were never loaded.
  std::vector<Entry> index() const;

 private:
  struct ByNumber {
    bool operator()(const std::string& a, const std::string& b) const {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    }
  };
  struct Version {
    std::shared_ptr<ServedModel> model;  // while it is ready
    std::weak_ptr<ServedModel> going;    // the last that was
    std::shared_ptr<ModelStats> stats = std::make_shared<ModelStats>();
    std::string stamp;
    std::string reason;
    bool loading = false;
    bool was_ready = false;
  };
  struct Place {
    Loader loader;        // without: the catalogue knows
    bool wanted = false;  // the server is not ready without it
    std::map<std::string, Version, ByNumber> versions;
    bool loading = false;
    std::shared_ptr<std::atomic<bool>> dropped;  // the load under way is no longer wanted
    bool unloaded = false;                       // by request
    std::string reason;                          // of the whole
    bool any_ready() const;
  };
  using Made = std::map<std::string, std::shared_ptr<ServedModel>>;
  struct Failures {
    std::map<std::string, std::string> reasons;
    std::exception_ptr first;
  };

  void check_control(const char* what, const LoadParameters& parameters) const;
  void run(const std::string& name, const LoadParameters& parameters, bool only_changed);
  void drop(const std::string& name);
  std::shared_ptr<std::atomic<bool>> begin(const std::string& name);
  LoadPlan plan(const std::string& name, const LoadParameters& parameters, bool only_changed);
  Made make(const std::string& name, const LoadPlan& plan, Failures& failures);
  void finish(const std::string& name, const LoadPlan& plan, Made made, const Failures& failures);
  void give_up(const std::string& name, const std::exception& error);
  std::shared_ptr<ServedModel> buried_by_undertaker(std::shared_ptr<ServedModel> model) const;
  const Place& known(std::string_view name) const;

  std::shared_ptr<Catalogue> catalogue_;
  Control control_ = Control::fixed;
  bool strict_ = true;
  // The last to hold a model may be its own thread, which cannot end itself: models end here.
  std::shared_ptr<http::Workers> undertaker_ =
      std::make_shared<http::Workers>(1, std::size_t{1} << 20);
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Place, std::less<>> places_;
  bool stopped_ = false;
};

}  // namespace tenon::serving
