#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/core/time.hpp"
#include "vla_rt/execution/chunk_source.hpp"

namespace vla_rt::execution {

/// What was observed lately, for policies that look back: every feature gets time as its first axis.
///
/// Observations are kept several times per period of the window, so that those that are one, two, ... periods
/// older than the present are found to within an eighth of a period. Before there is anything that old, the
/// oldest stands in for it, as if nothing had moved. Real-time: no. Thread: one.
class VLA_RT_API ObservationHistory {
 public:
  /// `window.steps` > 1 and `window.period_ns` > 0.
  explicit ObservationHistory(const ObservationWindow& window);

  /// Time between two observations that are worth keeping.
  [[nodiscard]] TimeNs interval_ns() const noexcept { return period_ / kPerPeriod; }
  void add(const Observation& observation);
  /// The window that ends with `now`, oldest first; valid until the next call. A feature whose shape or type
  /// has changed meanwhile is that of `now` at every time.
  [[nodiscard]] const Observation& until(const Observation& now);

 private:
  static constexpr std::int64_t kPerPeriod = 4;
  [[nodiscard]] const Observation& nearest(TimeNs time_ns, const Observation& now) const;

  int steps_;
  TimeNs period_;
  std::vector<Observation> ring_;
  std::size_t next_ = 0, count_ = 0;
  Observation window_;
  std::vector<std::byte> bytes_;
};

}  // namespace vla_rt::execution
