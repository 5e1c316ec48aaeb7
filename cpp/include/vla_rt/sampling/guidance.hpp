#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/sampling/prefix_weights.hpp"

namespace vla_rt {

class Denoiser;

/// What stands for d(predicted chunk)/d(noisy chunk) when a flow is guided.
enum class GuidanceJacobian : std::uint8_t {
  Identity,           ///< none: the error itself (LeRobot, physicalai)
  Vjp,                ///< the network's own vector-Jacobian product (Black et al.)
  FiniteDifferences,  ///< the same from 2 n evaluations per stage, for a network without one; slow
};

/// "identity", "vjp", "finite_differences".
[[nodiscard]] VLA_RT_API const char* to_string(GuidanceJacobian jacobian) noexcept;
/// Throws ConfigError naming `field` and the accepted texts for any other text.
[[nodiscard]] VLA_RT_API GuidanceJacobian guidance_jacobian_from_string(const std::string& text,
                                                                        const std::string& field);

struct VLA_RT_API GuidanceOptions {
  double max_weight = 5;  ///< beta, the largest strength; finite, >= 0
  PrefixSchedule schedule = PrefixSchedule::Exp;
  GuidanceJacobian jacobian = GuidanceJacobian::Identity;

  [[nodiscard]] bool operator==(const GuidanceOptions&) const = default;

  /// Throws ConfigError naming the field.
  void validate() const;
};

/// The previous chunk as the new one sees it: row 0 is for the new chunk's row 0.
struct ChunkPrefix {
  std::span<const double> values;  ///< (batch or 1, rows, D) row-major, in the sampler's units
  int batch = 1;
  int rows = 0;   ///< L in 1..T; the last one is held beyond
  int delay = 0;  ///< rows executed while the policy computes, 0..T: weight 1
  int end = 0;    ///< first row that is free again, >= 0; clipped to T
};

/// How a new chunk continues a previous one.
struct Continuation {
  ChunkPrefix prefix;
  GuidanceOptions options;
};

/// Real-time chunking: steers a sampler so that the new chunk continues the previous one.
///
/// With the predicted clean chunk x1, the previous chunk Y, the weights w of `prefix_weights` and the
/// strength g(tau) = min((tau^2 + (1 - tau)^2) / (tau (1 - tau)), max_weight), tau = 0 noise .. 1 data:
/// a flow's velocity (towards the data) becomes u + g (d x1/d x)^T [w (Y - x1)] at every stage; a diffusion
/// sampler's clean sample becomes x0 + min(g (1 - tau), 1) w (Y - x0), and the noise is derived anew from it.
///
/// Source: Black, Galliker and Levine 2025, "Real-Time Execution of Action Chunking Flow Policies"; the
/// diffusion form is its identity-Jacobian step on x0. Thread: one at a time. Real-time: as the network;
/// nothing allocates once `aim` has seen the size.
class VLA_RT_API Guidance {
 public:
  /// Throws ConfigError.
  explicit Guidance(const GuidanceOptions& options = {});

  [[nodiscard]] const GuidanceOptions& options() const noexcept { return options_; }

  /// Sets what (batch, horizon, action_dim) samples shall continue; their first `skip` rows stay free and the
  /// prefix begins after them. Throws ConfigError, changing nothing, for sizes that do not fit, a delay or
  /// end out of its range, or a number that is not finite.
  void aim(const ChunkPrefix& prefix, int batch, int horizon, int action_dim, int skip = 0);

  /// Elements aimed at; 0 before the first `aim`.
  [[nodiscard]] std::size_t size() const noexcept { return target_.size(); }
  /// Of element i of the sample: what it shall be, and how strongly.
  [[nodiscard]] double target(std::size_t i) const noexcept { return target_[i]; }
  [[nodiscard]] double weight(std::size_t i) const noexcept { return weights_[i]; }
  /// Rows of the previous chunk that will have been executed: its first `delay` ones, if it has as many.
  [[nodiscard]] int given_rows() const noexcept { return given_rows_; }
  /// Sets the first `rows` rows of every batch element of x to those of the previous chunk.
  void give(int rows, std::span<float> x) const noexcept;
  /// Sets those of a velocity to zero.
  void hold(int rows, std::span<float> v) const noexcept;
  /// g(tau), tau in [0, 1].
  [[nodiscard]] double strength(double tau) const noexcept;

  /// Guides the velocity `v` = network(x, t) of one stage in place. Throws ModelError when the
  /// vector-Jacobian product is not finite.
  void guide_flow(Denoiser& denoiser, std::span<const float> x, int stage, double t, int noise_at,
                  std::span<float> v);

 private:
  void differentiate(Denoiser& denoiser, std::span<const float> x, int stage, double t);

  GuidanceOptions options_;
  int given_rows_ = 0;
  std::size_t row_size_ = 0, chunk_size_ = 0;                    // D, T * D
  std::vector<double> target_, weights_;                         // (n)
  std::vector<double> row_weights_;                              // (T)
  std::vector<float> error_, product_, probe_, ahead_, behind_;  // (n) as the Jacobian needs them
};

}  // namespace vla_rt
