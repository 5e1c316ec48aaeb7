#include "constraints/swept_check.hpp"

#include <algorithm>
#include <cmath>

#include "constraints/safe_set.hpp"
#include "constraints/vector3.hpp"

namespace vla_rt::constraints {
namespace {

// Least value over s in [0, 1] of the chord from `first` to `last` minus bend s (1 - s) / 2.
double least_of_parabola(double first, double last, double bend) noexcept {
  const double rise = last - first;
  if (std::fabs(rise) >= 0.5 * bend) return std::min(first, last);
  const double s = 0.5 - rise / bend;
  return first + s * (rise - 0.5 * bend * (1 - s));
}

}  // namespace

SweptCheck::SweptCheck(const GapModel& model, std::shared_ptr<const StateCheck> check)
    : model_(model), check_(std::move(check)), n_(static_cast<std::size_t>(model.num_joints())) {
  const std::size_t gaps = model_.gaps().size();
  reach_.resize(model_.num_bodies() * n_);
  now_.gaps.resize(gaps);
  end_.gaps.resize(gaps);
  middle_.resize(kMaxDepth);
  for (Sample& sample : middle_) sample.gaps.resize(gaps);
  open_.assign(kMaxDepth + 2, std::vector<std::uint16_t>(gaps));
  model_.reach({most_q_.data(), n_}, reach_);
}

void SweptCheck::widen_range(std::span<const JointBounds> bounds) noexcept {
  for (std::size_t j = 0; j < n_; ++j)
    most_q_[j] = std::max({most_q_[j], std::fabs(bounds[j].min_q), std::fabs(bounds[j].max_q)});
  model_.reach({most_q_.data(), n_}, reach_);
}

void SweptCheck::stand_at(std::span<const double> q) noexcept {
  std::copy(q.begin(), q.end(), here_.begin());
  model_.place(q, frames_);
  workspace_distance_ = clearance_ = std::numeric_limits<double>::infinity();
  const std::vector<Gap>& gaps = model_.gaps();
  for (std::size_t g = 0; g < gaps.size(); ++g) {
    now_.gaps[g] = model_.sample(gaps[g], frames_);
    double& least = gaps[g].is_workspace ? workspace_distance_ : clearance_;
    least = std::min(least, now_.gaps[g].distance);
  }
}

const Gap* SweptCheck::tightest() const noexcept {
  const auto it = std::ranges::min_element(now_.gaps, {}, &GapSample::distance);
  return it == now_.gaps.end() ? nullptr : &model_.gaps()[static_cast<std::size_t>(it - now_.gaps.begin())];
}

void SweptCheck::blame(const Gap& gap) noexcept { blocker_ = gap.is_workspace ? kWorkspace : kCollision; }

double SweptCheck::moved_at_most(const Gap& gap, std::span<const double> by) const noexcept {
  const double* reach = &reach_[static_cast<std::size_t>(gap.body) * n_];
  double sum = 0;
  for (int j = gap.from + 1; j <= gap.to; ++j) {
    const std::size_t k = static_cast<std::size_t>(j);
    sum += reach[k] * by[k];
  }
  return sum;
}

void SweptCheck::take(std::span<const JointSweep> sweeps, double t, std::span<const std::uint16_t> which,
                      Sample& sample) noexcept {
  --samples_left_;
  sample.t = t;
  for (std::size_t j = 0; j < n_; ++j) {
    const MotionState x = sweeps[j].at(t);
    q_[j] = x.q;
    sample.v[j] = x.v;
    sample.a[j] = x.a;
  }
  model_.place({q_.data(), n_}, frames_);
  for (const std::uint16_t g : which) sample.gaps[g] = model_.sample(model_.gaps()[g], frames_);
}

bool SweptCheck::stays_open(const Gap& gap, const GapSample& left, const GapSample& right,
                            double bend) const noexcept {
  const auto along_direction = [&](const Vector3& n) {
    const double floor = model_.support(gap, n) + path_gap_;
    return least_of_parabola(dot(n, left.start) - floor, dot(n, right.start) - floor, bend) >= 0 &&
           least_of_parabola(dot(n, left.end) - floor, dot(n, right.end) - floor, bend) >= 0;
  };
  const GapSample &nearer = left.distance < right.distance ? left : right,
                  &other = left.distance < right.distance ? right : left;
  if (along_direction(nearer.normal)) return true;
  return gap.shape != Gap::Shape::Plane && along_direction(other.normal);
}

bool SweptCheck::certify(std::span<const JointSweep> sweeps, const Sample& left, const Sample& right,
                         std::span<const std::uint16_t> open, int depth) noexcept {
  const double length = right.t - left.t;
  before_[0] = 0;
  for (std::size_t j = 0; j < n_; ++j) {
    const double gained = sweeps[j].J * length;
    v_[j] = std::min(sweeps[j].most_v,
                     std::max(std::fabs(left.v[j]), std::fabs(right.v[j])) + 0.125 * gained * length);
    a_[j] = std::min(sweeps[j].most_a, 0.5 * (std::fabs(left.a[j] + right.a[j]) + gained));
    if (j + 1 < n_) before_[j + 1] = before_[j] + (model_.is_prismatic(j) ? 0 : v_[j]);
  }
  std::vector<std::uint16_t>& list = open_[static_cast<std::size_t>(depth)];
  std::size_t count = 0;
  for (const std::uint16_t g : open) {
    const Gap& gap = model_.gaps()[g];
    const double* reach = &reach_[static_cast<std::size_t>(gap.body) * n_];
    const int first = gap.from + 1;
    const double base = before_[static_cast<std::size_t>(first)];
    double F = 0;
    for (int j = first; j <= gap.to; ++j) {
      const std::size_t k = static_cast<std::size_t>(j);
      const double turning = model_.is_prismatic(k) ? 0 : v_[k] * v_[k];
      F += reach[k] * (a_[k] + turning + 2 * v_[k] * (before_[k] - base));
    }
    if (!stays_open(gap, left.gaps[g], right.gaps[g], (1 + 1e-6) * F * length * length)) list[count++] = g;
  }
  if (count == 0) return true;
  const std::span<const std::uint16_t> still{list.data(), count};
  if (depth == kMaxDepth || samples_left_ <= 0) {
    blame(model_.gaps()[still[0]]);
    return false;
  }
  Sample& middle = middle_[static_cast<std::size_t>(depth)];
  take(sweeps, 0.5 * (left.t + right.t), still, middle);
  for (const std::uint16_t g : still)
    if (!(middle.gaps[g].distance >= path_gap_)) {
      blame(model_.gaps()[g]);
      return false;
    }
  // The later half first: that is where a wall is.
  return certify(sweeps, middle, right, still, depth + 1) && certify(sweeps, left, middle, still, depth + 1);
}

bool SweptCheck::user_admits(std::span<const JointSweep> sweeps) noexcept {
  double last = 0;
  for (const JointSweep& sweep : sweeps) last = std::max(last, sweep.duration);
  for (int k = 0; k < StateCheck::kInstants; ++k) {
    // The end first, then the way there.
    const double t = last * (StateCheck::kInstants - k) / StateCheck::kInstants;
    for (std::size_t j = 0; j < n_; ++j)
      q_[j] = k + 1 == StateCheck::kInstants ? sweeps[j].after.q : sweeps[j].at(t).q;
    if (!check_->is_free({q_.data(), n_})) {
      blocker_ = kCollision;
      return false;
    }
  }
  return true;
}

bool SweptCheck::admits(std::span<const JointSweep> sweeps) noexcept {
  double last = 0;
  for (std::size_t j = 0; j < n_; ++j) {
    q_[j] = std::max(sweeps[j].hi - here_[j], here_[j] - sweeps[j].lo);
    last = std::max(last, sweeps[j].duration);
  }
  std::vector<std::uint16_t>& near = open_[kMaxDepth + 1];
  std::size_t count = 0;
  for (std::size_t g = 0; g < now_.gaps.size(); ++g)
    if (!(now_.gaps[g].distance - moved_at_most(model_.gaps()[g], {q_.data(), n_}) >= end_gap_))
      near[count++] = static_cast<std::uint16_t>(g);
  const std::span<const std::uint16_t> open{near.data(), count};
  if (count > 0) {
    if (samples_left_ <= 0) {
      blame(model_.gaps()[open[0]]);
      return false;
    }
    take(sweeps, last, open, end_);
    for (const std::uint16_t g : open)
      if (!(end_.gaps[g].distance >= end_gap_)) {
        blame(model_.gaps()[g]);
        return false;
      }
    now_.t = 0;
    for (std::size_t j = 0; j < n_; ++j) {
      now_.v[j] = sweeps[j].start.v;
      now_.a[j] = sweeps[j].start.a;
    }
    if (!certify(sweeps, now_, end_, open, 0)) return false;
  }
  return check_ == nullptr || user_admits(sweeps);
}

bool SweptCheck::admits_start(std::span<const JointSweep> sweeps) noexcept {
  end_gap_ = path_gap_ = 0.5 * kStartGap;
  samples_left_ = 1'000'000;
  const bool good = tightest_distance() >= kStartGap && admits(sweeps);
  double least = kEndGap;
  if (good) {
    for (std::size_t j = 0; j < n_; ++j) q_[j] = sweeps[j].rest.q;
    model_.place({q_.data(), n_}, frames_);
    for (const Gap& gap : model_.gaps()) least = std::min(least, model_.sample(gap, frames_).distance);
  }
  end_gap_ = least;
  path_gap_ = (kPathGap / kEndGap) * std::min(least, tightest_distance());
  return good;
}

void SweptCheck::rest_here() noexcept {
  end_gap_ = std::max(end_gap_, std::min(kEndGap, tightest_distance()));
  path_gap_ = (kPathGap / kEndGap) * end_gap_;
}

void SweptCheck::find_walls(std::span<const JointSweep> stops, WallSlider& walls) noexcept {
  walls.clear();
  for (std::size_t j = 0; j < n_; ++j) {
    q_[j] = stops[j].rest.q;
    v_[j] = std::fabs(q_[j] - here_[j]);
  }
  bool placed = false;
  for (std::size_t g = 0; g < now_.gaps.size() && !walls.full(); ++g) {
    const Gap& gap = model_.gaps()[g];
    if (now_.gaps[g].distance - moved_at_most(gap, {v_.data(), n_}) >= WallSlider::kNear) continue;
    if (!placed) model_.place({q_.data(), n_}, frames_);
    placed = true;
    const GapSample sample = model_.sample(gap, frames_);
    if (sample.distance < WallSlider::kNear)
      model_.gradient(gap, sample, frames_, {walls.add(sample.distance, gap.is_workspace), n_});
  }
}

}  // namespace vla_rt::constraints
