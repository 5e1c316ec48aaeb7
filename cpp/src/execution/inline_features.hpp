#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/core/robot.hpp"
#include "vla_rt/core/robot_state.hpp"
#include "vla_rt/package/chunk_sampler.hpp"
#include "vla_rt/rt/triple_buffer.hpp"

namespace vla_rt::execution {

/// What a policy inside the tick sees: `observation.state`, where it has D numbers, is what the tick
/// measured; all else is posted. Thread: `show` and `take` the ticking one, `post` and `observe` one other.
class InlineFeatures {
 public:
  enum class Taken : std::uint8_t { None, Bad, Good };

  explicit InlineFeatures(const PolicySpec& spec);

  /// Whether there are features that must be posted.
  [[nodiscard]] bool needed() const noexcept { return posted_floats_ > 0; }
  /// While no thread ticks.
  void reset() noexcept;

  /// Real-time: this and `take`.
  void show(const RobotState& state) noexcept;
  /// Gives the newest features to `sampler`. None: some were never posted. Bad: one is not finite.
  Taken take(const RobotState& state, ChunkSampler& sampler) noexcept;

  /// Throws ConfigError when a feature is missing or has another shape.
  void post(const Observation& observation);
  /// What `robot` observes in `state`; throws what it throws, and ConfigError when its `observation.state` is
  /// something else than the measured positions.
  void observe(Robot& robot, const RobotState& state);
  /// What it observes in the newest state that was shown, if that is new; what goes wrong is counted.
  void observe(Robot& robot) noexcept;

  struct Failures {
    std::uint64_t count = 0;
    std::string newest;
  };
  [[nodiscard]] Failures failures() const;

 private:
  const PolicySpec& spec_;
  std::size_t state_feature_, posted_floats_ = 0;
  TripleBuffer<std::vector<float>> posted_;  // all features but the tick's own, one after the other
  TripleBuffer<RobotState> states_;          // for whoever observes
  std::array<float, kMaxActionDim> state_floats_{};
  bool posted_once_ = false;

  Observation observation_;
  mutable std::mutex mutex_;
  Failures failures_;
};

}  // namespace vla_rt::execution
