#pragma once
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inference/arena.hpp"
#include "inference/plan.hpp"
#include "inference/program.hpp"
#include "inference/second_thread.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/inference/backend_registry.hpp"
#include "vla_rt/inference/instruction_set.hpp"
#include "vla_rt/inference/model.hpp"

namespace vla_rt {

/// A network run by the native engine: a plan bound to one piece of memory.
///
/// Thread: one thread at a time, any thread. Real-time: `encode` and `step` allocate nothing, take no lock,
/// make no system call, and do the same work whatever the numbers are; they throw only for arguments of a
/// wrong size and for ids that have no row in the table they index. Denormal numbers are zero inside; the
/// thread's own mode is put back. `prepare` allocates. With a signature of two threads a second one, made
/// here with the scheduling of this caller, computes parts of the larger matrices: the answers are the same
/// bits, and a second thread that is held up delays a matrix by a millisecond at most (see SecondThread).
class VLA_RT_API NativeModel final : public Model {
 public:
  /// Throws FormatError naming the field for a plan that does not hold what it must, ModelError when it does
  /// not fit the signature, ConfigError for a number of threads other than 1 and 2.
  ///
  /// `weights_owner` keeps the memory of the weights; with it `prepare_vjp` works.
  NativeModel(Plan plan, const PlanWeights& weights, const ModelSignature& signature, InstructionSet set,
              std::shared_ptr<const void> weights_owner = nullptr);
  ~NativeModel() override;

  [[nodiscard]] std::span<const TensorSpec> observation_spec() const noexcept override;
  [[nodiscard]] int horizon() const noexcept override { return signature_.horizon; }
  [[nodiscard]] int action_dim() const noexcept override { return signature_.action_dim; }
  [[nodiscard]] std::size_t input_size() const noexcept override { return input_size_; }
  [[nodiscard]] std::size_t output_size() const noexcept override { return answer_size_; }
  [[nodiscard]] std::string backend() const override { return "native"; }
  [[nodiscard]] bool is_realtime() const noexcept override { return true; }
  /// Bytes of weights and working memory.
  [[nodiscard]] std::size_t memory() const noexcept { return arena_.used(); }

  void prepare(std::span<const double> times) override;
  void encode(std::span<const TensorView> observation) override;
  void step(std::span<const float> x, int k, std::span<float> out) override;

  /// Takes the memory of another network and its derivative. Throws ModelError naming the operation without
  /// one.
  void prepare_vjp() override;
  [[nodiscard]] bool has_vjp() const noexcept override { return vjp_ != nullptr; }
  /// Real-time: as `step`, about three times as long.
  void step_vjp(std::span<const float> x, int k, std::span<const float> c, std::span<float> out) override;

 private:
  /// Numbers of a feature that index a table as they are: word ids, task ids.
  struct Ids {
    std::size_t feature;
    std::int64_t offset, stride, count, table_rows;
  };
  struct Vjp;

  void bind(const Plan& plan, const PlanWeights& weights, bool is_shared);
  [[nodiscard]] static std::vector<Ids> find_ids(const Plan& plan);
  void require_rows(const Ids& ids, const TensorView& feature) const;
  void run(Stage stage) const noexcept VLA_RT_NONBLOCKING;
  void require_step(std::size_t x, int k) const;
  [[nodiscard]] const float* row(int k) const noexcept {
    return rows_ + static_cast<std::size_t>(k) * program_.rows.size();
  }

  ModelSignature signature_;
  const Kernels* kernels_;
  Arena arena_, table_;
  Program program_;
  std::array<std::vector<std::optional<SharedMatrix>>, kNumStages> shared_;  ///< by instruction; with threads
  std::unique_ptr<SecondThread> second_thread_;
  std::vector<Ids> ids_;
  std::size_t input_size_ = 0, answer_size_ = 0;
  float* rows_ = nullptr;  ///< one row of `table_` per time
  std::size_t num_times_ = 0;
  bool encoded_ = false;
  std::shared_ptr<const void> weights_owner_;
  Plan plan_;            // with an owner, for `prepare_vjp`
  PlanWeights weights_;  // likewise
  std::vector<std::size_t> context_sizes_;
  std::unique_ptr<Vjp> vjp_;
};

}  // namespace vla_rt
