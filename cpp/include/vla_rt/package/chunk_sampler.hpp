#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/package/policy.hpp"
#include "vla_rt/sampling/noise.hpp"
#include "vla_rt/sampling/sampler.hpp"

namespace vla_rt {

/// Samples the chunks of a policy piece by piece, for a caller that has little time at once: one encode, then
/// one evaluation of the network after another. The same bits as `Policy::sample` with the same noise.
///
/// Has the policy to itself while it lives. Real-time: everything but the constructor: no allocation, lock or
/// system call, does not throw. Thread: one at a time.
class VLA_RT_API ChunkSampler {
 public:
  enum class Piece : std::uint8_t {
    Encode,  ///< of the observation, and the noise
    Step,    ///< one evaluation of the network
    Done,    ///< nothing is left: the chunk is there, or there is none in the making
  };

  /// Throws ConfigError without a policy; for one whose backend is not real-time (native is), that draws
  /// tokens, or that sees anything but float32 state features; VlaRtError when it is in use.
  explicit ChunkSampler(std::shared_ptr<Policy> policy);
  ~ChunkSampler();
  ChunkSampler(const ChunkSampler&) = delete;
  ChunkSampler& operator=(const ChunkSampler&) = delete;

  [[nodiscard]] const PolicySpec& spec() const noexcept;
  /// Evaluations of the network per chunk.
  [[nodiscard]] int num_steps() const noexcept;

  /// Raw numbers of feature i of the spec, as many as it has; kept until the next call. False, changing
  /// nothing, when one is not finite or there is another number of them.
  [[nodiscard]] bool set_feature(std::size_t i, std::span<const float> values) noexcept;
  /// Begins a chunk; one in the making is given up.
  void begin(const NoiseSource& source) noexcept;
  /// What `advance` does next.
  [[nodiscard]] Piece next() const noexcept { return next_; }
  /// Does the next piece. False when the network answered what it must not: the chunk is given up and
  /// `defect` says why.
  bool advance() noexcept;
  /// Of the last `advance` that was false.
  [[nodiscard]] const AnswerDefect& defect() const noexcept { return defect_; }
  /// Writes the chunk that is done, raw: horizon, action_dim, period_ns and the rows. False when a row is
  /// beyond +-1e100 or not finite.
  [[nodiscard]] bool write(ActionChunk& chunk) noexcept;

 private:
  std::shared_ptr<Policy> policy_;
  Policy::Impl& impl_;
  Sampling sampling_;
  Piece next_ = Piece::Done;
  int stage_ = 0;
  AnswerDefect defect_;
};

}  // namespace vla_rt
