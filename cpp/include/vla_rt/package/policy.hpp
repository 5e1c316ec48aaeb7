#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "vla_rt/core/action_chunk.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/core/observation.hpp"
#include "vla_rt/inference/model.hpp"
#include "vla_rt/package/policy_spec.hpp"
#include "vla_rt/sampling/guidance.hpp"
#include "vla_rt/sampling/noise.hpp"

namespace vla_rt {

/// A policy package ready to act: raw observation in, raw action chunk out; normalised inside.
///
/// Real-time: no (what the backend does); apart from the backend and FAST's decoding, `sample` allocates
/// nothing.
/// Thread: any; calls from several threads take turns.
class VLA_RT_API Policy {
 public:
  /// Opens the package in `folder` with the named backend, or with the first of native and torchscript that
  /// the package has and this process knows (other backends only when named). `threads` = 2 gives the native
  /// engine a second thread, which spins while a chunk is made: for a core that is idle anyway.
  /// Throws FormatError for a package that is not what it should be, ModelError when no backend can run it.
  [[nodiscard]] static std::unique_ptr<Policy> load(const std::filesystem::path& folder,
                                                    const std::string& backend = "", int threads = 1);

  /// A policy over a network of the caller's own; `folder` holds the files of a tokenizer that has some.
  /// Throws FormatError for a spec that no package may hold, ConfigError when the network does not fit it.
  Policy(PolicySpec spec, std::unique_ptr<Model> model, const std::filesystem::path& folder = {});
  ~Policy();
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  [[nodiscard]] const PolicySpec& spec() const noexcept;
  /// "native", "torchscript", ...
  [[nodiscard]] const std::string& backend() const noexcept;

  /// Samples the chunk that answers `observation`, which holds at least the features of the spec: float32
  /// (whole numbers are converted), for an image also uint8 (H,W,C). Row 0 is the action for the
  /// observation's time. Fills horizon, action_dim, start_time_ns, period_ns and the rows of `chunk`.
  ///
  /// `source` (a seed, a chunk counter) gives the noise; `noise` (T*G, normalised units, G = network_dim())
  /// replaces the initial one, `step_noise` (K*T*G) what a stochastic sampler adds; both may be empty.
  /// `continuation` makes the chunk continue a previous one, given raw and with one batch element. A token
  /// policy takes none of the three.
  /// Throws VlaRtError while a ChunkSampler has the policy; ConfigError naming feature and index for a
  /// feature that is missing, has another shape or type, or holds NaN or infinity, or a continuation that
  /// does not fit; ModelError when the network fails, answers NaN, or tokens that spell no chunk. `chunk` is
  /// untouched then.
  void sample(const Observation& observation, const NoiseSource& source, ActionChunk& chunk,
              std::span<const float> noise = {}, std::span<const float> step_noise = {},
              const Continuation* continuation = nullptr);

  /// Makes guidance with the true Jacobian possible where that takes preparation: at the latest the first
  /// chunk so guided does it. Throws ModelError naming what has no derivative.
  void prepare_vjp();

 private:
  friend class ChunkSampler;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vla_rt
