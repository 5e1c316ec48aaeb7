#include "vla_rt/smoothing/row_interpolator.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "vla_rt/core/capacity.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

// Weights of the two ends' position, velocity and acceleration, for the value and its first two derivatives
// by u.
struct Weights {
  double position[3][2], velocity[3][2], acceleration[3][2];
};

Weights linear_weights(double u) noexcept { return {{{1 - u, u}, {-1, 1}, {0, 0}}, {}, {}}; }

Weights cubic_weights(double u) noexcept {
  const double u2 = u * u, u3 = u2 * u;
  const double h = 3 * u2 - 2 * u3, dh = 6 * (u - u2), ddh = 6 - 12 * u;
  return {{{1 - h, h}, {-dh, dh}, {-ddh, ddh}},
          {{u - 2 * u2 + u3, u3 - u2}, {1 - 4 * u + 3 * u2, 3 * u2 - 2 * u}, {6 * u - 4, 6 * u - 2}},
          {}};
}

Weights quintic_weights(double u) noexcept {
  const double u2 = u * u, u3 = u2 * u, u4 = u3 * u, u5 = u4 * u;
  const double h = 10 * u3 - 15 * u4 + 6 * u5;
  const double dh = 30 * (u2 - 2 * u3 + u4);
  const double ddh = 60 * (u - 3 * u2 + 2 * u3);
  return {{{1 - h, h}, {-dh, dh}, {-ddh, ddh}},
          {{u - 6 * u3 + 8 * u4 - 3 * u5, -4 * u3 + 7 * u4 - 3 * u5},
           {1 - 18 * u2 + 32 * u3 - 15 * u4, -12 * u2 + 28 * u3 - 15 * u4},
           {-36 * u + 96 * u2 - 60 * u3, -24 * u + 84 * u2 - 60 * u3}},
          {{0.5 * (u2 - 3 * u3 + 3 * u4 - u5), 0.5 * (u3 - 2 * u4 + u5)},
           {0.5 * (2 * u - 9 * u2 + 12 * u3 - 5 * u4), 0.5 * (3 * u2 - 8 * u3 + 5 * u4)},
           {1 - 9 * u + 18 * u2 - 10 * u3, 3 * u - 12 * u2 + 10 * u3}}};
}

template <bool kAdd>
void put(double& out, double value) noexcept {
  if constexpr (kAdd)
    out += value;
  else
    out = value;
}

}  // namespace

RowInterpolator::RowInterpolator(int action_dim, int capacity, Interpolation interpolation)
    : action_dim_(action_dim), capacity_(capacity), interpolation_(interpolation), pieces_(interpolation) {
  if (action_dim < 1 || action_dim > kMaxActionDim)
    throw ConfigError("action_dim", std::to_string(action_dim),
                      "must be in 1.." + std::to_string(kMaxActionDim));
  if (capacity < 1 || capacity > kMaxHorizon)
    throw ConfigError("capacity", std::to_string(capacity), "must be in 1.." + std::to_string(kMaxHorizon));
  states_.assign(static_cast<std::size_t>(capacity) * 3 * static_cast<std::size_t>(action_dim), 0.0);
  elimination_.assign(static_cast<std::size_t>(capacity), 0.0);
  elimination_[0] = 2;
  for (std::size_t i = 1; i < elimination_.size(); ++i) elimination_[i] = 1 / (4 - elimination_[i - 1]);
}

RowInterpolator RowInterpolator::minimum_jerk(std::span<const double> start, std::span<const double> goal,
                                              double duration_s) {
  if (goal.size() != start.size())
    throw ConfigError("goal", std::to_string(goal.size()) + " numbers",
                      "must have " + std::to_string(start.size()));
  RowInterpolator motion(static_cast<int>(std::min<std::size_t>(start.size(), kMaxActionDim + 1)), 2,
                         Interpolation::Quintic);
  std::vector<double> rows(start.begin(), start.end());
  rows.insert(rows.end(), goal.begin(), goal.end());
  motion.fit(rows, 2, duration_s);  // checks the numbers
  const std::vector<double> rest(rows.size(), 0.0);
  motion.fit_states(rows, rest, rest, 2, duration_s);
  return motion;
}

void RowInterpolator::fit(std::span<const double> rows, int horizon, double period_s) {
  if (horizon < 1 || horizon > capacity_)
    throw ConfigError("horizon", std::to_string(horizon), "must be in 1.." + std::to_string(capacity_));
  const std::size_t size = static_cast<std::size_t>(horizon) * static_cast<std::size_t>(action_dim_);
  if (rows.size() != size)
    throw ConfigError("rows", std::to_string(rows.size()),
                      "must hold T * D = " + std::to_string(size) + " numbers");
  if (!(std::isfinite(period_s) && period_s > 0))
    throw ConfigError("period_s", number(period_s), "must be finite and > 0");
  for (std::size_t i = 0; i < size; ++i)
    if (!std::isfinite(rows[i]))
      throw ConfigError(indexed("rows", static_cast<long>(i)), number(rows[i]), "must be finite");

  horizon_ = horizon;
  period_s_ = period_s;
  pieces_ = interpolation_;
  const int D = action_dim_;
  for (int t = 0; t < horizon; ++t) {
    double* s = state(t);
    std::copy_n(rows.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(D), D, s);
    std::fill_n(s + D, 2 * D, 0.0);
  }
  if (horizon == 1) return;
  if (interpolation_ == Interpolation::Cubic) fit_cubic();
  if (interpolation_ == Interpolation::Quintic) fit_quintic();
}

// Slopes m of the spline, in units of the period: m[i-1] + 4 m[i] + m[i+1] = 3 (q[i+1] - q[i-1]) inside, and
// at the end m[0] + 2 m[1] = (5 (q[1]-q[0]) + (q[2]-q[1])) / 2, which makes the third derivative continuous
// at row 1 (not-a-knot).
void RowInterpolator::fit_cubic() noexcept {
  const int D = action_dim_, n = horizon_;
  if (n == 2) {
    for (int d = 0; d < D; ++d) state(0)[D + d] = state(1)[D + d] = state(1)[d] - state(0)[d];
  } else if (n == 3) {
    for (int d = 0; d < D; ++d) {
      const double first = state(1)[d] - state(0)[d], second = state(2)[d] - state(1)[d];
      state(0)[D + d] = 1.5 * first - 0.5 * second;
      state(1)[D + d] = 0.5 * (first + second);
      state(2)[D + d] = 1.5 * second - 0.5 * first;
    }
  } else {
    for (int d = 0; d < D; ++d) {
      const double first = state(1)[d] - state(0)[d], second = state(2)[d] - state(1)[d];
      state(0)[D + d] = 0.5 * (5 * first + second);
    }
    for (int i = 1; i + 1 < n; ++i) {
      const double* before = state(i - 1);
      const double* after = state(i + 1);
      double* here = state(i);
      const double c = elimination_[static_cast<std::size_t>(i)];
      for (int d = 0; d < D; ++d) here[D + d] = c * (3 * (after[d] - before[d]) - before[D + d]);
    }
    const double last_pivot = 1 / (1 - 2 * elimination_[static_cast<std::size_t>(n) - 2]);
    for (int d = 0; d < D; ++d) {
      const double last = state(n - 1)[d] - state(n - 2)[d], previous = state(n - 2)[d] - state(n - 3)[d];
      state(n - 1)[D + d] = last_pivot * (0.5 * (5 * last + previous) - 2 * state(n - 2)[D + d]);
    }
    for (int i = n - 2; i >= 0; --i) {
      const double* after = state(i + 1);
      double* here = state(i);
      const double c = elimination_[static_cast<std::size_t>(i)];
      for (int d = 0; d < D; ++d) here[D + d] -= c * after[D + d];
    }
  }
}

void RowInterpolator::fit_quintic() noexcept {
  const int D = action_dim_, n = horizon_;
  for (int d = 0; d < D; ++d) {
    const auto q = [&](int t) { return state(t)[d]; };
    const auto set = [&](int t, double velocity, double acceleration) {
      state(t)[D + d] = velocity;
      state(t)[2 * D + d] = acceleration;
    };
    if (n == 2) {
      set(0, q(1) - q(0), 0);
      set(1, q(1) - q(0), 0);
      continue;
    }
    if (n == 3) {
      const double first = q(1) - q(0), second = q(2) - q(1);
      set(0, 1.5 * first - 0.5 * second, second - first);
      set(1, 0.5 * (first + second), second - first);
      set(2, 1.5 * second - 0.5 * first, second - first);
      continue;
    }
    // The cubic through four rows, seen from its first and second.
    const auto end = [&](int at, int step) {
      const double a = q(at), b = q(at + step), c = q(at + 2 * step), e = q(at + 3 * step);
      set(at, step * (-11 * a + 18 * b - 9 * c + 2 * e) / 6, 2 * a - 5 * b + 4 * c - e);
      set(at + step, step * (-2 * a - 3 * b + 6 * c - e) / 6, a - 2 * b + c);
    };
    end(0, 1);
    end(n - 1, -1);
    for (int i = 2; i + 2 < n; ++i) {
      const double inner = q(i + 1) - q(i - 1), outer = q(i + 2) - q(i - 2);
      const double inner_sum = q(i + 1) + q(i - 1), outer_sum = q(i + 2) + q(i - 2);
      set(i, (8 * inner - outer) / 12, (16 * inner_sum - outer_sum - 30 * q(i)) / 12);
    }
  }
}

void RowInterpolator::fit_states(std::span<const double> position, std::span<const double> velocity,
                                 std::span<const double> acceleration, int horizon,
                                 double period_s) noexcept {
  horizon_ = horizon;
  period_s_ = period_s;
  pieces_ = Interpolation::Quintic;
  const int D = action_dim_;
  for (int t = 0; t < horizon; ++t) {
    double* s = state(t);
    const std::size_t row = static_cast<std::size_t>(t) * static_cast<std::size_t>(D);
    for (int d = 0; d < D; ++d) {
      s[d] = position[row + static_cast<std::size_t>(d)];
      s[D + d] = velocity[row + static_cast<std::size_t>(d)] * period_s;
      s[2 * D + d] = acceleration[row + static_cast<std::size_t>(d)] * (period_s * period_s);
    }
  }
}

void RowInterpolator::copy_from(const RowInterpolator& other) noexcept {
  horizon_ = other.horizon_;
  period_s_ = other.period_s_;
  pieces_ = other.pieces_;
  std::copy_n(other.states_.data(),
              static_cast<std::size_t>(horizon_) * 3 * static_cast<std::size_t>(action_dim_), states_.data());
}

namespace {

template <bool kAdd>
void evaluate_piece(const double* a, const double* b, std::size_t D, Interpolation pieces, double u,
                    double rate, double* q, double* dq, double* ddq) noexcept {
  const Weights w = pieces == Interpolation::Linear  ? linear_weights(u)
                    : pieces == Interpolation::Cubic ? cubic_weights(u)
                                                     : quintic_weights(u);
  const double rate2 = rate * rate;
  if (pieces == Interpolation::Linear) {
    for (std::size_t d = 0; d < D; ++d) {
      put<kAdd>(q[d], w.position[0][0] * a[d] + w.position[0][1] * b[d]);
      put<kAdd>(dq[d], rate * (b[d] - a[d]));
      put<kAdd>(ddq[d], 0.0);
    }
    return;
  }
  const auto sum = [&](int k, std::size_t d) {
    return w.position[k][0] * a[d] + w.position[k][1] * b[d] + w.velocity[k][0] * a[D + d] +
           w.velocity[k][1] * b[D + d];
  };
  if (pieces == Interpolation::Cubic) {
    for (std::size_t d = 0; d < D; ++d) {
      put<kAdd>(q[d], sum(0, d));
      put<kAdd>(dq[d], rate * sum(1, d));
      put<kAdd>(ddq[d], rate2 * sum(2, d));
    }
    return;
  }
  const auto more = [&](int k, std::size_t d) {
    return w.acceleration[k][0] * a[2 * D + d] + w.acceleration[k][1] * b[2 * D + d];
  };
  for (std::size_t d = 0; d < D; ++d) {
    put<kAdd>(q[d], sum(0, d) + more(0, d));
    put<kAdd>(dq[d], rate * (sum(1, d) + more(1, d)));
    put<kAdd>(ddq[d], rate2 * (sum(2, d) + more(2, d)));
  }
}

struct Place {
  int piece;
  double u;
};

Place locate(double time_s, double period_s, int horizon) noexcept {
  const double x = std::clamp(time_s / period_s, 0.0, static_cast<double>(horizon - 1));
  // A time that means a row may miss it by rounding; then the piece before would answer for it.
  constexpr double kRounding = 1e-10;
  const int piece = std::min(static_cast<int>(x + kRounding), horizon - 2);
  return {piece, std::max(0.0, x - piece)};
}

}  // namespace

void RowInterpolator::evaluate(double time_s, std::span<double> position, std::span<double> velocity,
                               std::span<double> acceleration) const noexcept VLA_RT_NONBLOCKING {
  const std::size_t D = static_cast<std::size_t>(action_dim_);
  if (horizon_ < 2) {
    std::copy_n(state(0), D, position.data());
    std::fill_n(velocity.data(), D, 0.0);
    std::fill_n(acceleration.data(), D, 0.0);
    return;
  }
  const Place at = locate(time_s, period_s_, horizon_);
  evaluate_piece<false>(state(at.piece), state(at.piece + 1), D, pieces_, at.u, 1 / period_s_,
                        position.data(), velocity.data(), acceleration.data());
}

void RowInterpolator::accumulate(double time_s, std::span<double> position, std::span<double> velocity,
                                 std::span<double> acceleration) const noexcept VLA_RT_NONBLOCKING {
  const std::size_t D = static_cast<std::size_t>(action_dim_);
  if (horizon_ < 2) {
    for (std::size_t d = 0; d < D; ++d) position[d] += state(0)[d];
    return;
  }
  const Place at = locate(time_s, period_s_, horizon_);
  evaluate_piece<true>(state(at.piece), state(at.piece + 1), D, pieces_, at.u, 1 / period_s_, position.data(),
                       velocity.data(), acceleration.data());
}

std::span<const double> RowInterpolator::row(int t) const noexcept VLA_RT_NONBLOCKING {
  return {state(t), static_cast<std::size_t>(action_dim_)};
}

}  // namespace vla_rt
