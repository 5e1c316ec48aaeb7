#include "execution/plan.hpp"

#include <algorithm>
#include <limits>

namespace vla_rt::execution {

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

void Fade::prepare(int D, int pieces) { curve = RowInterpolator(D, pieces + 1, Interpolation::Quintic); }

void Fade::copy_from(const Fade& other) noexcept {
  start_ns = other.start_ns;
  end_ns = other.end_ns;
  if (end_ns > start_ns) curve.copy_from(other.curve);
}

void Fade::decay(const Motion& offset, int D, TimeNs start, TimeNs duration) noexcept {
  start_ns = start;
  end_ns = start + duration;
  std::array<double, 2 * kMaxActionDim> q{}, dq{}, ddq{};
  std::copy_n(offset.q.data(), D, q.data());
  std::copy_n(offset.dq.data(), D, dq.data());
  std::copy_n(offset.ddq.data(), D, ddq.data());
  curve.fit_states(q, dq, ddq, 2, to_seconds(duration));
}

void Fade::add(TimeNs t, int D, Motion& out) const noexcept {
  if (!active(t)) return;
  curve.accumulate(to_seconds(t - start_ns), out.position(D), out.velocity(D), out.acceleration(D));
}

CrossFade::CrossFade(int D) : D_(static_cast<std::size_t>(D)) {
  for (std::vector<double>* samples : {&q_, &dq_, &ddq_}) samples->resize((Fade::kPieces + 1) * D_);
}

void CrossFade::sample(int k, const Motion& offset, double duration_s) noexcept {
  const double u = static_cast<double>(k) / Fade::kPieces, u2 = u * u, u3 = u2 * u;
  const double left = 1 - u3 * (10 - 15 * u + 6 * u2);
  const double rate = -30 * u2 * (1 - 2 * u + u2) / duration_s;
  const double bend = -60 * u * (1 - 3 * u + 2 * u2) / (duration_s * duration_s);
  const std::size_t at = static_cast<std::size_t>(k) * D_;
  for (std::size_t d = 0; d < D_; ++d) {
    q_[at + d] = left * offset.q[d];
    dq_[at + d] = left * offset.dq[d] + rate * offset.q[d];
    ddq_[at + d] = left * offset.ddq[d] + 2 * rate * offset.dq[d] + bend * offset.q[d];
  }
}

void CrossFade::write(TimeNs start, TimeNs duration, Fade& fade) const noexcept {
  fade.start_ns = start;
  fade.end_ns = start + duration;
  fade.curve.fit_states(q_, dq_, ddq_, Fade::kPieces + 1, to_seconds(duration) / Fade::kPieces);
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
    segment.fade.prepare(config.action_dim, Fade::kPieces);
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
