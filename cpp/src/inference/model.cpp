#include "vla_rt/inference/model.hpp"

namespace vla_rt {

Model::~Model() = default;

}  // namespace vla_rt
