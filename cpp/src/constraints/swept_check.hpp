#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "constraints/gap_model.hpp"
#include "constraints/joint_sweep.hpp"
#include "constraints/wall_slider.hpp"
#include "vla_rt/constraints/state_check.hpp"

// Whether the robot, on one tick and the whole stop after it, keeps every gap of a GapModel open - at all
// times, not only at samples.
//
// Between two samples t0, t1 a point p of a body, seen from the frame the gap's shape is fixed in, moves by
// the joints j = from+1..to between them alone, and with reach R_j, |dq_j| <= V_j, |ddq_j| <= A_j
//   |ddp| <= F = sum_j R_j (A_j + V_j^2 + 2 V_j sum_{i<j} V_i).
// So for a fixed direction n, n.p(t) is nowhere more than F (t-t0)(t1-t)/2 below its chord, and a gap is open
// throughout if that parabola stays above the shape's support along n at both ends of the segment (n
// separates two convex sets). n is the direction of the shortest way at one of the samples. Where that does
// not show it, the interval is halved; gaps once shown open are not looked at again inside it. Conservative
// advancement (Mirtich 1996; Tang, Kim, Manocha 2009) with a bound of second order.

namespace vla_rt::constraints {

class SweptCheck {
 public:
  /// Samples that one tick may take, over all its candidates.
  static constexpr int kSamplesPerTick = 64;
  /// What the stop's end keeps open, and what the way there does [m]. At rest there is thus always room to
  /// begin to move in.
  static constexpr double kEndGap = 1e-4, kPathGap = 1e-5;
  /// Least clearance of a start [m].
  static constexpr double kStartGap = 1e-6;

  SweptCheck(const GapModel& model, std::shared_ptr<const StateCheck> check);

  /// For sliding joints: the largest |q| of both these and all earlier limits.
  void widen_range(std::span<const JointBounds> bounds) noexcept;

  /// Says where the robot is. Sets the distances.
  void stand_at(std::span<const double> q) noexcept;
  [[nodiscard]] double workspace_distance() const noexcept { return workspace_distance_; }
  [[nodiscard]] double clearance() const noexcept { return clearance_; }
  /// The gap that is least open where the robot is; null without gaps.
  [[nodiscard]] const Gap* tightest() const noexcept;
  [[nodiscard]] double tightest_distance() const noexcept {
    return workspace_distance_ < clearance_ ? workspace_distance_ : clearance_;
  }
  [[nodiscard]] const GapModel& model() const noexcept { return model_; }

  void begin_tick() noexcept { samples_left_ = kSamplesPerTick; }
  /// Whether the sweeps, which begin where the robot is, keep everything open. False also when the samples
  /// run out. `blocker` afterwards is what refused.
  [[nodiscard]] bool admits(std::span<const JointSweep> sweeps) noexcept;
  [[nodiscard]] unsigned blocker() const noexcept { return blocker_; }
  /// Whether a start is allowed: the same with all the time it takes. Sets how much the gaps may close from
  /// there.
  [[nodiscard]] bool admits_start(std::span<const JointSweep> sweeps) noexcept;
  /// The robot rests where it is: gaps that have opened need not close as far again.
  void rest_here() noexcept;

  /// Collects the gaps that are nearly closed where the stops in hand end.
  void find_walls(std::span<const JointSweep> stops, WallSlider& walls) noexcept;

 private:
  struct Sample {
    double t = 0;
    JointArray v{}, a{};
    std::vector<GapSample> gaps;
  };
  static constexpr int kMaxDepth = 20;

  [[nodiscard]] double moved_at_most(const Gap& gap, std::span<const double> by) const noexcept;
  void take(std::span<const JointSweep> sweeps, double t, std::span<const std::uint16_t> which,
            Sample& sample) noexcept;
  [[nodiscard]] bool certify(std::span<const JointSweep> sweeps, const Sample& left, const Sample& right,
                             std::span<const std::uint16_t> open, int depth) noexcept;
  [[nodiscard]] bool stays_open(const Gap& gap, const GapSample& left, const GapSample& right,
                                double bend) const noexcept;
  [[nodiscard]] bool user_admits(std::span<const JointSweep> sweeps) noexcept;
  void blame(const Gap& gap) noexcept;

  GapModel model_;
  std::shared_ptr<const StateCheck> check_;
  std::size_t n_;
  JointArray most_q_{};
  std::vector<double> reach_;  // (bodies, n)

  JointArray here_{};
  Sample now_, end_;
  std::vector<Sample> middle_;                    // by depth
  std::vector<std::vector<std::uint16_t>> open_;  // by depth
  JointFrames frames_;
  JointArray q_{}, v_{}, a_{}, before_{};
  double workspace_distance_ = std::numeric_limits<double>::infinity();
  double clearance_ = std::numeric_limits<double>::infinity();
  double end_gap_ = kEndGap, path_gap_ = kPathGap;
  int samples_left_ = 0;
  unsigned blocker_ = 0;
};

}  // namespace vla_rt::constraints
