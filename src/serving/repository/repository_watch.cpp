#include "serving/repository/repository_watch.h"

#include <algorithm>

#include "base/log.h"

namespace tenon::serving {

RepositoryWatch::RepositoryWatch(std::shared_ptr<ModelRegistry> models,
                                 std::shared_ptr<Repository> repository, const Times& times)
    : models_(std::move(models)), repository_(std::move(repository)), times_(times) {
  for (const std::string& name : repository_->names()) {
    const std::string stamp = repository_->stamp(name);
    seen_[name] = {stamp, stamp};
  }
}

void RepositoryWatch::start() {
  thread_ = std::thread([this] { run(); });
}

RepositoryWatch::~RepositoryWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void RepositoryWatch::run() {
  bool unsettled = false;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto pause = unsettled ? std::min(times_.settle, times_.interval) : times_.interval;
      if (wake_.wait_for(lock, pause, [this] { return stopping_; })) return;
    }
    try {
      unsettled = look();
    } catch (const std::exception& error) {
      log::warn("model repository: {}", error.what());
    }
  }
}

// True when something has changed that was not taken yet.
bool RepositoryWatch::look() {
  const auto names = repository_->names();
  forget_missing(names);
  bool unsettled = false;
  for (const std::string& name : names) {
    try {
      unsettled = follow(name, seen_[name]) || unsettled;
    } catch (const std::exception& error) {  // in the index, too
      log::warn("{}: was not loaded: {}", name, error.what());
    }
  }
  return unsettled;
}

void RepositoryWatch::forget_missing(const std::vector<std::string>& names) {
  for (auto it = seen_.begin(); it != seen_.end();) {
    if (std::find(names.begin(), names.end(), it->first) != names.end()) {
      ++it;
      continue;
    }
    log::info("{}: is no longer there and was unloaded", it->first);
    try {
      models_->forget(it->first);
    } catch (const UnknownModel&) {  // it never was loaded
    }
    it = seen_.erase(it);
  }
}

bool RepositoryWatch::follow(const std::string& name, Seen& seen) {
  const std::string stamp = repository_->stamp(name);
  if (stamp == seen.taken) return false;
  const bool still = stamp == seen.latest;
  seen.latest = stamp;
  const double age = repository_->seconds_since_change(name);
  const double settle = std::chrono::duration<double>(times_.settle).count();
  if (!still || (age >= 0 && age < settle)) return true;  // of the future: a clock that is wrong
  seen.taken = stamp;
  models_->refresh(name);
  log::info("{}: was loaded again", name);
  return false;
}

}  // namespace tenon::serving
