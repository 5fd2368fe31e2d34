#include "serving/model_registry.h"

#include <algorithm>
#include <array>

#include <malloc.h>

#include "base/interrupt.h"

namespace tenon::serving {
namespace {

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Folders of these names cannot be copied to every system.
bool is_device(std::string_view name) {
  std::string stem(name.substr(0, name.find('.')));
  std::transform(stem.begin(), stem.end(), stem.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  constexpr std::array<std::string_view, 4> kDevices = {"CON", "PRN", "AUX", "NUL"};
  if (std::find(kDevices.begin(), kDevices.end(), stem) != kDevices.end()) return true;
  return stem.size() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")) &&
         stem[3] >= '1' && stem[3] <= '9';
}

// For messages: what a client sent, no longer than a line and without control characters.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, 128));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return name.size() <= 128 ? text : text + "...";
}

void check_name(const std::string& name) {
  if (is_model_name(name)) return;
  fail(ErrorCode::usage,
       "'{}' cannot be the name of a model: letters, digits, '.', '_' and '-' were expected, at "
       "most 128, no sign first, and no device such as CON or NUL",
       shown(name));
}

}  // namespace

bool is_model_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; }) &&
         !is_device(name);
}

bool ModelRegistry::Place::any_ready() const {
  return std::any_of(versions.begin(), versions.end(),
                     [](const auto& one) { return one.second.model != nullptr; });
}

void ModelRegistry::add(const std::string& name, Loader loader) {
  check_name(name);
  const std::lock_guard lock(mutex_);
  Place made;
  made.loader = std::move(loader);
  made.wanted = true;
  if (!places_.emplace(name, std::move(made)).second)
    fail(ErrorCode::usage, "two models have the name {}: give one another name with NAME=SRC",
         name);
}

void ModelRegistry::expect(const std::string& name) {
  check_name(name);
  const std::lock_guard lock(mutex_);
  places_[name].wanted = true;
}

// Waits for its turn; from then on the place is this thread's until finish or give_up.
std::shared_ptr<std::atomic<bool>> ModelRegistry::begin(const std::string& name) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stopped_) throw Error(ErrorCode::interrupted, "the server ends");
    Place& mine = places_[name];  // waiting may outlive it
    if (!mine.loading) {
      mine.loading = true;
      mine.dropped = std::make_shared<std::atomic<bool>>(false);
      return mine.dropped;
    }
    changed_.wait(lock);
  }
}

LoadPlan ModelRegistry::plan(const std::string& name, const LoadParameters& parameters,
                             bool only_changed) {
  Loader loader;
  {
    const std::lock_guard lock(mutex_);
    loader = places_.at(name).loader;
  }
  LoadPlan planned;
  if (loader) {
    if (!parameters.empty()) {
      bad_input(
          "failed to load '{}': it was given to the server as it is, so that neither a config nor "
          "files can change it",
          name);
    }
    planned.versions.push_back({"1", "", std::move(loader)});
  } else if (catalogue_ != nullptr) {
    planned = catalogue_->plan(name, parameters);
  } else {
    throw UnknownModel(
        fmt::format("failed to load '{}', no model of this name was given to the server", name));
  }
  const std::lock_guard lock(mutex_);
  auto& versions = places_.at(name).versions;
  std::erase_if(versions, [](const auto& one) { return !one.second.was_ready; });
  for (const auto& one : planned.versions) {
    Version& version = versions[one.version];
    const bool same = version.model != nullptr && !one.stamp.empty() && one.stamp == version.stamp;
    version.loading = !only_changed || !same;
  }
  return planned;
}

std::shared_ptr<ServedModel> ModelRegistry::buried_by_undertaker(
    std::shared_ptr<ServedModel> model) const {
  ServedModel* const pointer = model.get();
  return {pointer,
          [model = std::move(model), end = std::weak_ptr(undertaker_)](ServedModel*) mutable {
            const auto undertaker = end.lock();
            if (undertaker == nullptr) return model.reset();
            undertaker->post([last = std::move(model)]() mutable {
              last.reset();
              ::malloc_trim(0);  // what it had is given back to the system
            });
          }};
}

ModelRegistry::Made ModelRegistry::make(const std::string& name, const LoadPlan& plan,
                                        Failures& failures) {
  Made made;
  for (const auto& one : plan.versions) {
    {
      const std::lock_guard lock(mutex_);
      const Place& mine = places_.at(name);
      if (*mine.dropped) return made;
      if (!mine.versions.at(one.version).loading) continue;
    }
    try {
      made[one.version] = buried_by_undertaker(one.make());
    } catch (const std::exception& error) {
      if (!failures.first) failures.first = std::current_exception();
      failures.reasons[one.version] = error.what();
    }
  }
  ::malloc_trim(0);  // compiling leaves much behind
  return made;
}

void ModelRegistry::finish(const std::string& name, const LoadPlan& plan, Made made,
                           const Failures& failures) {
  std::vector<std::shared_ptr<ServedModel>> old;  // goes after the lock
  const std::lock_guard lock(mutex_);
  Place& mine = places_.at(name);
  mine.loading = false;
  changed_.notify_all();
  for (auto& [number, version] : mine.versions) version.loading = false;
  for (const auto& [number, reason] : plan.refused) mine.versions[number].reason = reason;
  for (const auto& [number, reason] : failures.reasons) mine.versions[number].reason = reason;
  if (*mine.dropped) {
    if (stopped_) throw Error(ErrorCode::interrupted, "the server ends");
    fail(ErrorCode::usage, "failed to load '{}': it was unloaded while it was loading", name);
  }
  if (!failures.reasons.empty() && mine.any_ready()) return;  // all of it stays as it was
  const auto replace = [&](Version& version, std::shared_ptr<ServedModel> by) {
    version.going = version.model;
    old.push_back(std::exchange(version.model, std::move(by)));
  };
  std::set<std::string> planned;
  for (const auto& one : plan.versions) {
    planned.insert(one.version);
    Version& version = mine.versions.at(one.version);
    const auto found = made.find(one.version);
    if (found == made.end()) continue;
    replace(version, std::move(found->second));
    version.stamp = one.stamp;
    version.reason.clear();
    version.was_ready = true;
  }
  for (auto& [number, version] : mine.versions) {
    if (planned.contains(number) || version.model == nullptr) continue;
    replace(version, nullptr);
    version.reason = "unloaded: no longer among the versions that are asked for";
  }
  mine.wanted = mine.wanted || mine.any_ready();
  mine.unloaded = false;
  mine.reason.clear();
}

// No plan could be made: what was ready stays.
void ModelRegistry::give_up(const std::string& name, const std::exception& error) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(name);
  Place& mine = found->second;
  mine.loading = false;
  changed_.notify_all();
  mine.reason = error.what();
  const bool unknown = dynamic_cast<const UnknownModel*>(&error) != nullptr;
  if (unknown && mine.versions.empty() && !mine.loader) places_.erase(found);
}

void ModelRegistry::check_control(const char* what, const LoadParameters& parameters) const {
  if (control_ == Control::polled) {
    bad_input("explicit model load / unload is not allowed if polling is enabled");
  }
  if (control_ == Control::on_demand || parameters.empty()) return;
  Error error(ErrorCode::bad_input,
              fmt::format("{} with a config or files is not allowed: the server loads models as "
                          "they lie there",
                          what));
  throw error.hint("start it with --model-control-mode explicit");
}

void ModelRegistry::run(const std::string& name, const LoadParameters& parameters,
                        bool only_changed) {
  if (!is_model_name(name)) {
    throw UnknownModel(
        fmt::format("failed to load '{}', no model can have this name", shown(name)));
  }
  const auto dropped = begin(name);
  const InterruptScope scope(*dropped);
  LoadPlan planned;
  try {
    planned = plan(name, parameters, only_changed);
  } catch (const std::exception& error) {
    give_up(name, error);
    throw;
  }
  Failures failures;
  Made made = make(name, planned, failures);
  finish(name, planned, std::move(made), failures);
  if (failures.first) std::rethrow_exception(failures.first);
}

void ModelRegistry::load(const std::string& name, const LoadParameters& parameters) {
  check_control("load", parameters);
  run(name, parameters, false);
}

void ModelRegistry::refresh(const std::string& name) { run(name, {}, true); }

void ModelRegistry::unload(const std::string& name) {
  check_control("unload", {});
  drop(name);
}

void ModelRegistry::drop(const std::string& name) {
  std::vector<std::shared_ptr<ServedModel>> old;
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(name);
  if (found == places_.end()) {
    throw UnknownModel(
        fmt::format("failed to unload '{}', no model of this name is known", shown(name)));
  }
  Place& mine = found->second;
  if (mine.loading) *mine.dropped = true;
  mine.unloaded = true;
  mine.reason = "unloaded";
  for (auto& [number, version] : mine.versions) {
    if (version.model == nullptr) continue;
    version.going = version.model;
    version.reason = "unloaded";
    old.push_back(std::exchange(version.model, nullptr));
  }
}

void ModelRegistry::forget(const std::string& name) {
  drop(name);
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(name);
  if (found != places_.end() && !found->second.loading) places_.erase(found);
}

void ModelRegistry::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& [name, place] : places_) {
    if (place.loading) *place.dropped = true;
  }
  changed_.notify_all();
}

const ModelRegistry::Place& ModelRegistry::known(std::string_view name) const {
  const auto found = places_.find(name);
  if (found == places_.end())
    throw UnknownModel(fmt::format("Request for unknown model: '{}' is not found", shown(name)));
  if (!found->second.any_ready()) {
    throw UnknownModel(
        fmt::format("Request for unknown model: '{}' has no available versions", shown(name)));
  }
  return found->second;
}

ModelRegistry::Held ModelRegistry::get(std::string_view name, std::string_view version) const {
  const std::lock_guard lock(mutex_);
  const Place& place = known(name);
  Held newest;
  for (const auto& [number, one] : place.versions) {
    if (one.model == nullptr) continue;
    if (number == version) return {one.model, one.stats};
    newest = {one.model, one.stats};
  }
  if (version.empty()) return newest;
  throw UnknownModel(fmt::format("Request for unknown model: '{}' version {} is not found",
                                 shown(name), shown(version)));
}

std::vector<std::string> ModelRegistry::versions(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  for (const auto& [number, one] : known(name).versions) {
    if (one.model != nullptr) found.push_back(number);
  }
  return found;
}

std::vector<ModelRegistry::Held> ModelRegistry::ready_models() const {
  const std::lock_guard lock(mutex_);
  std::vector<Held> held;
  for (const auto& [name, place] : places_) {
    for (const auto& [number, one] : place.versions) {
      if (one.model != nullptr) held.push_back({one.model, one.stats});
    }
  }
  return held;
}

bool ModelRegistry::ready() const {
  if (!strict_) return true;
  const std::lock_guard lock(mutex_);
  return std::all_of(places_.begin(), places_.end(), [](const auto& one) {
    const auto& [name, place] = one;
    return place.unloaded || !place.wanted ||
           std::any_of(place.versions.begin(), place.versions.end(), [](const auto& version) {
             return version.second.model != nullptr && version.second.model->ready();
           });
  });
}

std::vector<std::string> ModelRegistry::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  for (const auto& [name, place] : places_) found.push_back(name);
  return found;
}

std::vector<ModelRegistry::Entry> ModelRegistry::index() const {
  std::set<std::string> others;
  if (catalogue_ != nullptr) {
    for (auto& name : catalogue_->names()) others.insert(std::move(name));
  }
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const auto& [name, place] : places_) {
    others.erase(name);
    bool latest_tells = place.reason.empty();
    for (const auto& [number, one] : place.versions) {
      const char* state = one.model != nullptr   ? "READY"
                          : one.loading          ? "LOADING"
                          : !one.going.expired() ? "UNLOADING"
                                                 : "UNAVAILABLE";
      entries.push_back({name, number, state, one.loading ? "" : one.reason});
    }
    if (place.versions.empty())
      entries.push_back({name, "", place.loading ? "LOADING" : "UNAVAILABLE", place.reason});
    else if (!latest_tells && !place.unloaded)
      entries.back().reason = place.reason;
  }
  for (const auto& name : others) entries.push_back({name, "", "UNAVAILABLE", "not loaded"});
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

}  // namespace tenon::serving
