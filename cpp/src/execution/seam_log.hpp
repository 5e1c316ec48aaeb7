#pragma once
#include <cstddef>
#include <vector>

#include "vla_rt/execution/chunk_executor.hpp"

namespace vla_rt::execution {

/// The latest splices in a ring of fixed size. Not synchronised.
class SeamLog {
 public:
  SeamLog(int action_dim, int capacity)
      : dim_(static_cast<std::size_t>(action_dim)),
        times_(static_cast<std::size_t>(capacity)),
        values_(static_cast<std::size_t>(capacity) * 3 * dim_) {}

  void clear() noexcept { first_ = size_ = 0; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] TimeNs last_time() const noexcept { return times_[slot(size_ - 1)]; }
  void pop() noexcept { --size_; }

  void add(const Seam& seam) noexcept {
    if (size_ == times_.size()) {
      first_ = (first_ + 1) % times_.size();
      --size_;
    }
    const std::size_t at = slot(size_++);
    times_[at] = seam.time_ns;
    double* v = values_.data() + at * 3 * dim_;
    for (std::size_t d = 0; d < dim_; ++d) {
      v[d] = seam.position[d];
      v[dim_ + d] = seam.velocity[d];
      v[2 * dim_ + d] = seam.acceleration[d];
    }
  }

  // Oldest first; times never fall.
  [[nodiscard]] std::vector<Seam> later_than(TimeNs time) const {
    std::size_t before = size_;
    while (before > 0 && times_[slot(before - 1)] > time) --before;
    std::vector<Seam> seams(size_ - before);
    for (std::size_t i = 0; i < seams.size(); ++i) {
      const double* v = values_.data() + slot(before + i) * 3 * dim_;
      seams[i].time_ns = times_[slot(before + i)];
      for (std::size_t d = 0; d < dim_; ++d) {
        seams[i].position[d] = v[d];
        seams[i].velocity[d] = v[dim_ + d];
        seams[i].acceleration[d] = v[2 * dim_ + d];
      }
    }
    return seams;
  }

 private:
  [[nodiscard]] std::size_t slot(std::size_t i) const noexcept { return (first_ + i) % times_.size(); }

  std::size_t dim_, first_ = 0, size_ = 0;
  std::vector<TimeNs> times_;
  std::vector<double> values_;
};

}  // namespace vla_rt::execution
