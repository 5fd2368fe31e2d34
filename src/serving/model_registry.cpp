#include "serving/model_registry.h"

#include <algorithm>

namespace tenon::serving {
namespace {

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 128 && alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

// For messages: what a client sent, no longer than a line.
std::string shown(std::string_view name) {
  return name.size() <= 128 ? std::string(name) : std::string(name.substr(0, 128)) + "...";
}

}  // namespace

void ModelRegistry::add(const std::string& name, Loader loader) {
  if (!is_name(name)) {
    fail(ErrorCode::usage,
         "'{}' cannot be the name of a model: letters, digits, '.', '_' and '-' were expected, at "
         "most 128 and no sign first",
         shown(name));
  }
  const std::lock_guard lock(mutex_);
  Place made;
  made.loader = std::move(loader);
  if (!places_.emplace(name, std::move(made)).second)
    fail(ErrorCode::usage, "two models have the name {}: give one another name with NAME=SRC",
         name);
}

ModelRegistry::Place& ModelRegistry::place(const std::string& name) {
  const auto found = places_.find(name);
  if (found == places_.end()) {
    throw UnknownModel(fmt::format(
        "failed to load '{}', no model of this name was given to the server", shown(name)));
  }
  return found->second;
}

void ModelRegistry::load(const std::string& name) {
  Loader loader;
  {
    std::unique_lock lock(mutex_);
    Place& mine = place(name);
    changed_.wait(lock, [&] { return !mine.loading; });  // places are never removed
    mine.loading = true;
    loader = mine.loader;
  }
  std::shared_ptr<ServedModel> model;
  std::string reason;
  std::exception_ptr failure;
  try {
    auto loaded = loader();
    ServedModel* const pointer = loaded.get();
    model = {pointer, [loaded, end = std::weak_ptr(undertaker_)](ServedModel*) mutable {
               if (const auto undertaker = end.lock())
                 undertaker->post([last = std::move(loaded)] {});
             }};
  } catch (const std::exception& error) {
    failure = std::current_exception();
    reason = error.what();
  }
  std::shared_ptr<ServedModel> old;  // goes after the lock
  {
    const std::lock_guard lock(mutex_);
    Place& mine = place(name);
    mine.loading = false;
    mine.reason = reason;
    if (model != nullptr) {
      mine.unloaded = false;
      old = std::exchange(mine.model, std::move(model));
    }
  }
  changed_.notify_all();
  if (failure) std::rethrow_exception(failure);
}

void ModelRegistry::unload(const std::string& name) {
  std::shared_ptr<ServedModel> old;
  const std::lock_guard lock(mutex_);
  Place& mine = place(name);
  mine.unloaded = true;
  mine.reason = "unloaded";
  old = std::exchange(mine.model, nullptr);
}

ModelRegistry::Held ModelRegistry::get(std::string_view name, std::string_view version) const {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(name);
  if (found == places_.end())
    throw UnknownModel(fmt::format("Request for unknown model: '{}' is not found", shown(name)));
  if (found->second.model == nullptr) {
    throw UnknownModel(
        fmt::format("Request for unknown model: '{}' has no available versions", shown(name)));
  }
  if (!version.empty() && version != found->second.model->info().version) {
    throw UnknownModel(fmt::format("Request for unknown model: '{}' version {} is not found",
                                   shown(name), shown(version)));
  }
  return {found->second.model, found->second.stats};
}

std::vector<std::string> ModelRegistry::versions(std::string_view name) const {
  return {get(name)->info().version};
}

std::vector<ModelRegistry::Held> ModelRegistry::ready_models() const {
  const std::lock_guard lock(mutex_);
  std::vector<Held> held;
  for (const auto& [name, place] : places_) {
    if (place.model != nullptr) held.push_back({place.model, place.stats});
  }
  return held;
}

bool ModelRegistry::ready() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(places_.begin(), places_.end(), [](const auto& one) {
    return one.second.unloaded || (one.second.model != nullptr && one.second.model->ready());
  });
}

std::vector<ModelRegistry::Entry> ModelRegistry::index() const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const auto& [name, place] : places_) {
    const char* state = place.model != nullptr ? "READY"
                        : place.loading        ? "LOADING"
                                               : "UNAVAILABLE";
    entries.push_back({name, state, place.model != nullptr ? "" : place.reason});
  }
  return entries;
}

}  // namespace tenon::serving
