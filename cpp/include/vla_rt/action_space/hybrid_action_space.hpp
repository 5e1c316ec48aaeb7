#pragma once
#include <memory>
#include <string>
#include <vector>

#include "vla_rt/action_space/action_space.hpp"

namespace vla_rt {

/// A choice of skill with that skill's own parameters: pick(x, y, z), a list of waypoints, stop().
///
/// An action is [skill index, parameters, zeros]; D = 1 + the largest number of parameters. The index maps as
/// in a DiscreteActionSpace, the parameters as in their own space; the numbers behind them are 0 both ways
/// and ignored when read.
class VLA_RT_API HybridActionSpace final : public ActionSpace {
 public:
  /// Throws ConfigError when there is no skill, a name is empty or occurs twice, a parameter space is itself
  /// hybrid, or D > kMaxActionDim.
  explicit HybridActionSpace(const std::vector<SkillSpec>& skills);

  [[nodiscard]] int num_skills() const noexcept { return static_cast<int>(skills_.size()); }
  [[nodiscard]] const std::string& skill_name(int index) const {
    return spec().skills.at(static_cast<std::size_t>(index)).name;
  }
  /// Throws ConfigError naming the skills there are.
  [[nodiscard]] int skill_index(const std::string& name) const;
  /// Null for a skill without parameters.
  [[nodiscard]] const ActionSpace* parameters(int index) const {
    return skills_.at(static_cast<std::size_t>(index)).get();
  }

 protected:
  void normalize_one(std::span<const double> action, std::span<double> normalized) const override;
  void denormalize_one(std::span<const double> normalized, std::span<double> action) const override;
  void check_one(std::span<const double> action, long first) const override;

 private:
  std::vector<std::unique_ptr<const ActionSpace>> skills_;
};

}  // namespace vla_rt
