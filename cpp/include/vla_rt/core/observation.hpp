#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/tensor.hpp"
#include "vla_rt/core/time.hpp"

namespace vla_rt {

/// Everything a policy sees at one moment: named raw (un-normalised) features.
///
/// Keeps its buffers between uses: setting a feature of unchanged size allocates nothing. Real-time: no.
class VLA_RT_API Observation {
 public:
  TimeNs time_ns = 0;  ///< when it was measured

  /// Writes feature `name`; replaces the one of the same name. `data` holds num_elements(shape) values of
  /// `dtype`.
  void set(std::string_view name, DType dtype, std::span<const std::int64_t> shape, const void* data);
  /// Writes a float32 vector feature from doubles.
  void set(std::string_view name, std::span<const double> values);

  /// nullptr when there is none.
  [[nodiscard]] const TensorSpec* find_spec(std::string_view name) const noexcept;
  /// Throws ConfigError naming the feature when it is missing.
  [[nodiscard]] TensorView at(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  void clear() noexcept;

 private:
  struct Feature {
    TensorSpec spec;
    std::vector<std::byte> data;
  };
  std::vector<Feature> features_;
};

}  // namespace vla_rt
