#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "constraints/safe_set.hpp"
#include "constraints/target_estimator.hpp"
#include "vla_rt/core/capacity.hpp"

namespace vla_rt::constraints {

/// Lets the robot slide along walls instead of stopping at them.
///
/// A wall is a gap that is nearly closed where the stop in hand would end, the rest pose r: its distance d
/// and gradient g there. Two small quadratic programs per tick, both by Hildreth's dual coordinate ascent
/// with a bounded number of rounds: the goals nearest to the wished ones with d + g.(goal - r) >= 0.3 mm, and
/// then, among the steps the joints can make in this tick, the change of the rest pose nearest to the wished
/// one with d + g.dr >= 0.2 mm. The second is a control barrier function (Ames et al. 2017) on the rest pose:
/// it keeps joints that each hurry alone from cutting through a wall on the way to a goal that is on it. A
/// convenience: whatever comes out of it is verified like any other wish.
class WallSlider {
 public:
  static constexpr double kNear = 0.05;  // [m]

  void clear() noexcept { count_ = 0; }
  [[nodiscard]] bool full() const noexcept { return count_ == kMaxWalls; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  /// Adds a wall; its gradient is to be written to the returned row.
  double* add(double distance, bool is_workspace) noexcept {
    walls_[count_] = {.distance = distance, .cause = is_workspace ? kWorkspace : kCollision};
    return rows_[count_++].data();
  }

  /// Moves goals behind walls onto them; sets the cause of every joint whose goal moved.
  void move_goals(std::span<const double> rest, std::span<TargetMotion> goals,
                  std::span<unsigned> causes) noexcept {
    const std::size_t n = rest.size();
    JointArray& x = step_;
    for (std::size_t j = 0; j < n; ++j) {
      x[j] = goals[j].q - rest[j];
      weight_[j] = 1;
      lo_[j] = -kOpen;
      hi_[j] = kOpen;
    }
    for (std::size_t k = 0; k < count_; ++k) walls_[k].least = kGoalGap - walls_[k].distance;
    const unsigned cause = solve(n, 1e-9);
    if (cause == 0) return;
    for (std::size_t k = 0; k < count_; ++k) {
      if (walls_[k].multiplier <= 0) continue;
      double into = 0, length2 = kSoft;
      for (std::size_t j = 0; j < n; ++j) {
        into += rows_[k][j] * goals[j].v;
        length2 += rows_[k][j] * rows_[k][j];
      }
      if (into < 0)
        for (std::size_t j = 0; j < n; ++j) goals[j].v -= into / length2 * rows_[k][j];
    }
    for (std::size_t j = 0; j < n; ++j) {
      const double goal = rest[j] + x[j];
      if (std::fabs(goal - goals[j].q) > 1e-9) causes[j] |= cause;
      goals[j].q = goal;
      goals[j].a = 0;
    }
  }

  /// Bends the change of the rest pose, each within [lo, hi], away from the walls. Returns the cause, 0 if
  /// `change` stays as it is.
  [[nodiscard]] unsigned bend(std::span<double> change, std::span<const double> lo,
                              std::span<const double> hi) noexcept {
    const std::size_t n = change.size();
    for (std::size_t j = 0; j < n; ++j) {
      step_[j] = change[j];
      lo_[j] = lo[j];
      hi_[j] = hi[j];
      weight_[j] = (hi[j] - lo[j]) * (hi[j] - lo[j]);
    }
    for (std::size_t k = 0; k < count_; ++k) {
      const double room = walls_[k].distance - kStepGap;
      walls_[k].least = room >= 0 ? -room : -0.1 * room;
    }
    const unsigned cause = solve(n, 1e-12);
    if (cause != 0) std::copy_n(step_.begin(), n, change.begin());
    return cause;
  }
  /// Whether `bend` would leave the change as it is.
  [[nodiscard]] bool allows(std::span<const double> change) const noexcept {
    for (std::size_t k = 0; k < count_; ++k) {
      const double room = walls_[k].distance - kStepGap;
      double closing = room >= 0 ? room : 0.1 * room;
      for (std::size_t j = 0; j < change.size(); ++j) closing += rows_[k][j] * change[j];
      if (!(closing >= 0)) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kMaxWalls = 16;
  static constexpr int kRounds = 20;
  static constexpr double kGoalGap = 3e-4, kStepGap = 2e-4;  // [m], above what the stop's end must keep
  static constexpr double kSoft = 1e-4;  // [m^2/rad^2]: a nearly singular wall asks little
  static constexpr double kOpen = 1e300;

  struct Wall {
    double distance = 0;
    unsigned cause = 0;
    double least = 0;  // g . x >= least
    double multiplier = 0;
  };

  // Nearest x (step_) to itself in the norm of 1/weight_ with rows . x >= least and lo_ <= x <= hi_.
  unsigned solve(std::size_t n, double tolerance) noexcept {
    JointArray& free = free_;  // x before it is put into [lo_, hi_]
    std::copy_n(step_.begin(), n, free.begin());
    for (std::size_t k = 0; k < count_; ++k) walls_[k].multiplier = 0;
    bool changed = true;
    for (int round = 0; round < kRounds && changed; ++round) {
      changed = false;
      for (std::size_t k = 0; k < count_; ++k) {
        const JointArray& g = rows_[k];
        double slack = -walls_[k].least;
        for (std::size_t j = 0; j < n; ++j) slack += g[j] * step_[j];
        if (std::fabs(slack) <= tolerance || (slack > 0 && walls_[k].multiplier == 0)) continue;
        // The slope of the slack in the multiplier, over the joints that can follow.
        double slope = 0, largest = 0;
        for (std::size_t j = 0; j < n; ++j) {
          const double direction = slack < 0 ? g[j] : -g[j];
          const bool follows = direction > 0 ? free[j] < hi_[j] : free[j] > lo_[j];
          largest = std::max(largest, weight_[j]);
          if (follows) slope += weight_[j] * g[j] * g[j];
        }
        slope += kSoft * largest;
        if (!(slope > 0)) continue;
        const double multiplier = std::max(0.0, walls_[k].multiplier - slack / slope);
        const double by = multiplier - walls_[k].multiplier;
        walls_[k].multiplier = multiplier;
        for (std::size_t j = 0; j < n; ++j) {
          free[j] += by * weight_[j] * g[j];
          step_[j] = std::clamp(free[j], lo_[j], hi_[j]);
        }
        changed = true;
      }
    }
    unsigned cause = 0;
    for (std::size_t k = 0; k < count_; ++k)
      if (walls_[k].multiplier > 0) cause |= walls_[k].cause;
    return cause;
  }

  std::array<Wall, kMaxWalls> walls_{};
  std::array<JointArray, kMaxWalls> rows_{};
  std::size_t count_ = 0;
  JointArray step_{}, free_{}, lo_{}, hi_{}, weight_{};
};

}  // namespace vla_rt::constraints
