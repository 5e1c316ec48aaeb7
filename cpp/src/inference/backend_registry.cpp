#include "vla_rt/inference/backend_registry.hpp"

#include <map>
#include <mutex>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, BackendFactory, std::less<>> factories;
};

// Never destroyed: factories may live in libraries that are unloaded before this one.
Registry& registry() {
  static auto* instance = new Registry();
  return *instance;
}

}  // namespace

std::vector<std::int64_t> ModelSignature::input_shape() const {
  return input.empty() ? std::vector<std::int64_t>{horizon, action_dim} : input;
}
std::vector<std::int64_t> ModelSignature::output_shape() const {
  return output.empty() ? std::vector<std::int64_t>{horizon, action_dim} : output;
}

void register_backend(const std::string& name, BackendFactory factory) {
  if (name.empty() || !factory) throw ConfigError("backend", name, "needs a name and a factory");
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  r.factories.insert_or_assign(name, std::move(factory));
}

bool has_backend(std::string_view name) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  return r.factories.find(name) != r.factories.end();
}

std::vector<std::string> backend_names() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<std::string> names;
  names.reserve(r.factories.size());
  for (const auto& [name, factory] : r.factories) names.push_back(name);
  return names;
}

std::unique_ptr<Model> open_model(const std::string& name, const std::filesystem::path& folder,
                                  const ModelSignature& signature) {
  BackendFactory factory;
  {
    Registry& r = registry();
    const std::lock_guard lock(r.mutex);
    if (const auto it = r.factories.find(name); it != r.factories.end()) factory = it->second;
  }
  if (!factory) {
    std::string known;
    for (const std::string& other : backend_names()) known += (known.empty() ? "" : ", ") + other;
    throw ModelError("backend", name, "is not loaded; available: " + (known.empty() ? "none" : known));
  }
  std::unique_ptr<Model> model = factory(folder, signature);
  if (!model) throw ModelError("backend", name, "its factory returned no model");
  return model;
}

}  // namespace vla_rt
