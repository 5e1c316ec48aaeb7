#include "execution/plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vla_rt::execution {

JointArray noise_of(std::span<const double> rows, int horizon, int D) noexcept {
  // A fourth difference of independent numbers has sqrt(1 + 16 + 36 + 16 + 1) times their deviation; the mean
  // size of a normal number is sqrt(2 / pi) of its deviation.
  constexpr double kScale = 8.366600265340756 * 0.7978845608028654;
  JointArray noise{};
  const auto n = static_cast<std::size_t>(D);
  const int differences = horizon - 4;
  if (differences < 1) return noise;
  for (int t = 0; t < differences; ++t) {
    const double* r = rows.data() + static_cast<std::size_t>(t) * n;
    for (std::size_t d = 0; d < n; ++d)
      noise[d] += std::fabs(r[d] - 4 * r[n + d] + 6 * r[2 * n + d] - 4 * r[3 * n + d] + r[4 * n + d]);
  }
  for (std::size_t d = 0; d < n; ++d) noise[d] /= kScale * differences;
  return noise;
}

// Three and a half deviations at the end rows of a spline, where they are largest: 4.5 and 9.1 per row.
double noise_velocity(double period_s) noexcept { return 16 / period_s; }
double noise_acceleration(double period_s) noexcept { return 32 / (period_s * period_s); }

bool Motion::is_zero(int D) const noexcept {
  for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d)
    if (q[d] != 0 || dq[d] != 0 || ddq[d] != 0) return false;
  return true;
}

Motion difference(const Motion& a, const Motion& b, const std::array<bool, kMaxActionDim>& discrete,
                  int D) noexcept {
  Motion offset;
  for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
    if (discrete[d]) continue;
    offset.q[d] = a.q[d] - b.q[d];
    offset.dq[d] = a.dq[d] - b.dq[d];
    offset.ddq[d] = a.ddq[d] - b.ddq[d];
  }
  return offset;
}

namespace {

void to_zero(RowInterpolator& curve, const Motion& offset, int D, TimeNs duration) noexcept {
  std::array<double, 2 * kMaxActionDim> q{}, dq{}, ddq{};
  std::copy_n(offset.q.data(), D, q.data());
  std::copy_n(offset.dq.data(), D, dq.data());
  std::copy_n(offset.ddq.data(), D, ddq.data());
  curve.fit_states(q, dq, ddq, 2, to_seconds(duration));
}

}  // namespace

void Fade::prepare(int D, int pieces, double rows_period_s) {
  curve = RowInterpolator(D, pieces + 1, Interpolation::Quintic);
  settling = RowInterpolator(D, 2, Interpolation::Quintic);
  period_s = rows_period_s;
}

void Fade::copy_from(const Fade& other) noexcept {
  start_ns = other.start_ns;
  end_ns = other.end_ns;
  settled_ns = other.settled_ns;
  if (end_ns > start_ns) curve.copy_from(other.curve);
  if (settled_ns > start_ns) settling.copy_from(other.settling);
}

void Fade::decay(Motion offset, const Motion& smooth, const JointArray& noise, int D, TimeNs start,
                 TimeNs duration) noexcept {
  settle(offset, smooth, noise, D, start, duration);
  start_ns = start;
  end_ns = start + duration;
  to_zero(curve, offset, D, duration);
}

void Fade::settle(Motion& offset, const Motion& smooth, const JointArray& noise, int D, TimeNs start,
                  TimeNs duration) noexcept {
  const TimeNs settling_time = from_seconds(kSettlingRows * period_s);
  settled_ns = start;
  if (settling_time >= duration) return;
  const double velocity = noise_velocity(period_s), acceleration = noise_acceleration(period_s);
  Motion rough;
  bool any = false;
  for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
    const double v = velocity * noise[d], a = acceleration * noise[d];
    rough.dq[d] = std::clamp(offset.dq[d] - smooth.dq[d], -v, v);
    rough.ddq[d] = std::clamp(offset.ddq[d] - smooth.ddq[d], -a, a);
    offset.dq[d] -= rough.dq[d];
    offset.ddq[d] -= rough.ddq[d];
    any = any || rough.dq[d] != 0 || rough.ddq[d] != 0;
  }
  if (!any) return;
  settled_ns = start + settling_time;
  to_zero(settling, rough, D, settling_time);
}

void Fade::add(TimeNs t, int D, Motion& out) const noexcept {
  if (!active(t)) return;
  const double elapsed_s = to_seconds(t - start_ns);
  curve.accumulate(elapsed_s, out.position(D), out.velocity(D), out.acceleration(D));
  if (t < settled_ns) settling.accumulate(elapsed_s, out.position(D), out.velocity(D), out.acceleration(D));
}

void Fade::add_smooth(TimeNs t, double sign, int D, Motion& out) const noexcept {
  if (!active(t)) return;
  Motion smooth;
  curve.evaluate(to_seconds(t - start_ns), smooth.position(D), smooth.velocity(D), smooth.acceleration(D));
  for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
    out.dq[d] += sign * smooth.dq[d];
    out.ddq[d] += sign * smooth.ddq[d];
  }
}

CrossFade::CrossFade(int D) : D_(static_cast<std::size_t>(D)) {
  for (std::vector<double>* samples : {&q_, &dq_, &ddq_}) samples->resize((Fade::kPieces + 1) * D_);
}

void CrossFade::sample(int k, const Motion& offset) noexcept {
  const auto at = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(k) * D_);
  std::copy_n(offset.q.data(), D_, q_.begin() + at);
  std::copy_n(offset.dq.data(), D_, dq_.begin() + at);
  std::copy_n(offset.ddq.data(), D_, ddq_.begin() + at);
}

void CrossFade::smooth(double piece_s) noexcept {
  for (std::size_t i = D_; i < Fade::kPieces * D_; ++i) {
    const double behind = q_[i - D_], ahead = q_[i + D_];
    dq_[i] = (ahead - behind) / (2 * piece_s);
    ddq_[i] = (ahead - 2 * q_[i] + behind) / (piece_s * piece_s);
  }
}

void CrossFade::settle_first(const JointArray& noise, TimeNs start, TimeNs duration, double piece_s,
                             Fade& fade) noexcept {
  Motion first, trend;
  for (std::size_t d = 0; d < D_; ++d) {
    const double q0 = q_[d], q1 = q_[D_ + d], q2 = q_[2 * D_ + d], q3 = q_[3 * D_ + d];
    first.q[d] = q0;
    first.dq[d] = dq_[d];
    first.ddq[d] = ddq_[d];
    trend.dq[d] = (-3 * q0 + 4 * q1 - q2) / (2 * piece_s);
    trend.ddq[d] = (2 * q0 - 5 * q1 + 4 * q2 - q3) / (piece_s * piece_s);
  }
  fade.settle(first, trend, noise, static_cast<int>(D_), start, duration);
  sample(0, first);
}

void CrossFade::write(const JointArray& noise, TimeNs start, TimeNs duration, Fade& fade) noexcept {
  const double duration_s = to_seconds(duration), piece_s = duration_s / Fade::kPieces;
  if (piece_s > fade.period_s) {
    settle_first(noise, start, duration, piece_s, fade);
    smooth(piece_s);
  }
  for (std::size_t k = 0; k <= Fade::kPieces; ++k) {
    const double u = static_cast<double>(k) / Fade::kPieces, u2 = u * u, u3 = u2 * u;
    const double left = 1 - u3 * (10 - 15 * u + 6 * u2);
    const double rate = -30 * u2 * (1 - 2 * u + u2) / duration_s;
    const double bend = -60 * u * (1 - 3 * u + 2 * u2) / (duration_s * duration_s);
    for (std::size_t i = k * D_; i < (k + 1) * D_; ++i) {
      ddq_[i] = left * ddq_[i] + 2 * rate * dq_[i] + bend * q_[i];
      dq_[i] = left * dq_[i] + rate * q_[i];
      q_[i] = left * q_[i];
    }
  }
  fade.start_ns = start;
  fade.end_ns = start + duration;
  fade.curve.fit_states(q_, dq_, ddq_, Fade::kPieces + 1, piece_s);
}

void Segment::copy_from(const Segment& other) noexcept {
  splice_ns = other.splice_ns;
  start_ns = other.start_ns;
  end_ns = other.end_ns;
  coast_ns = other.coast_ns;
  sequence = other.sequence;
  origin = other.origin;
  blended = other.blended;
  rows.copy_from(other.rows);
  std::copy_n(other.predictions.data(), rows.horizon(), predictions.data());
  std::copy_n(other.noise.data(), rows.action_dim(), noise.data());
  std::copy_n(other.seam_noise.data(), rows.action_dim(), seam_noise.data());
  fade.copy_from(other.fade);
  std::copy(other.stop.begin(), other.stop.end(), stop.begin());
}

namespace {

// A segment that stands since ever starts at the smallest time there is.
TimeNs elapsed(TimeNs since, TimeNs t) noexcept {
  TimeNs difference = 0;
  if (!__builtin_sub_overflow(t, since, &difference)) return difference;
  return t > since ? std::numeric_limits<TimeNs>::max() : std::numeric_limits<TimeNs>::min();
}

}  // namespace

int Segment::row_at(TimeNs t) const noexcept {
  // Row times are rounded to nanoseconds, so a row's turn comes half a nanosecond early rather than late.
  const double x = (static_cast<double>(elapsed(start_ns, t)) + 0.5) * 1e-9 / rows.period_s();
  return static_cast<int>(std::clamp(x, 0.0, static_cast<double>(rows.horizon() - 1)));
}

void Segment::base(TimeNs t, std::span<const int> discrete_dims, Motion& out) const noexcept {
  const int D = rows.action_dim();
  rows.evaluate(to_seconds(elapsed(start_ns, t)), out.position(D), out.velocity(D), out.acceleration(D));
  if (t > end_ns) {
    if (t <= coast_ns) {
      const double dt = to_seconds(elapsed(end_ns, t));
      for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d) {
        out.q[d] += dt * (out.dq[d] + 0.5 * dt * out.ddq[d]);
        out.dq[d] += dt * out.ddq[d];
      }
    } else if (!stop.empty()) {
      const double dt = to_seconds(elapsed(end_ns, t));
      for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d)
        stop[d].evaluate(dt, out.q[d], out.dq[d], out.ddq[d]);
    } else {
      std::fill_n(out.dq.data(), D, 0.0);
      std::fill_n(out.ddq.data(), D, 0.0);
    }
  } else if (t < start_ns) {
    std::fill_n(out.dq.data(), D, 0.0);
    std::fill_n(out.ddq.data(), D, 0.0);
  }
  if (!discrete_dims.empty()) {
    const std::span<const double> row = rows.row(row_at(t));
    for (const int dim : discrete_dims) {
      const std::size_t d = static_cast<std::size_t>(dim);
      out.q[d] = row[d];
      out.dq[d] = out.ddq[d] = 0;
    }
  }
}

void Plan::prepare(const ChunkExecutorConfig& config) {
  for (Segment& segment : segments) {
    segment.rows = RowInterpolator(config.action_dim, kMaxHorizon, config.interpolation);
    segment.fade.prepare(config.action_dim, Fade::kPieces, config.period_s);
    if (config.on_starvation == StarvationPolicy::Decelerate)
      segment.stop.resize(static_cast<std::size_t>(config.action_dim));
  }
}

void Plan::copy_from(const Plan& other) noexcept {
  count = other.count;
  for (int i = 0; i < count; ++i)
    segments[static_cast<std::size_t>(i)].copy_from(other.segments[static_cast<std::size_t>(i)]);
}

int Plan::active(TimeNs t) const noexcept {
  int i = count - 1;
  while (i > 0 && t < segments[static_cast<std::size_t>(i)].splice_ns) --i;
  return i;
}

void Plan::evaluate(TimeNs t, std::span<const int> discrete_dims, Motion& out) const noexcept {
  const Segment& segment = segments[static_cast<std::size_t>(active(t))];
  segment.base(t, discrete_dims, out);
  segment.fade.add(t, segment.rows.action_dim(), out);
}

}  // namespace vla_rt::execution
