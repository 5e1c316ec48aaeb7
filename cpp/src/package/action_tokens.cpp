#include "package/action_tokens.hpp"

#include <cstddef>
#include <string>
#include <utility>

#include "vla_rt/core/errors.hpp"
#include "vla_rt/tokenization/fast_tokenizer.hpp"
#include "vla_rt/tokenization/motion_tokenizer.hpp"
#include "vla_rt/tokenization/openvla_tokenizer.hpp"
#include "vla_rt/tokenization/quantile_tokenizer.hpp"
#include "vla_rt/tokenization/rt1_tokenizer.hpp"
#include "vla_rt/tokenization/uniform_tokenizer.hpp"

namespace vla_rt {
namespace {

void require_dimension(int of_tokenizer, int action_dim) {
  if (of_tokenizer != action_dim)
    throw ConfigError("", "dimension " + std::to_string(of_tokenizer),
                      "must be action_dim = " + std::to_string(action_dim));
}

class BinTokens final : public ActionTokens {
 public:
  BinTokens(std::unique_ptr<const Tokenizer> tokenizer, int horizon, int action_dim)
      : tokenizer_(std::move(tokenizer)) {
    const int dim = tokenizer_->action_dim();
    if (dim != 1) require_dimension(dim, action_dim);
    num_tokens_ = horizon * action_dim / dim * tokenizer_->tokens_per_action();
  }
  [[nodiscard]] std::int64_t min_token() const noexcept override { return tokenizer_->min_token(); }
  [[nodiscard]] std::int64_t max_token() const noexcept override { return tokenizer_->max_token(); }
  [[nodiscard]] bool fits(int num_tokens) const noexcept override { return num_tokens == num_tokens_; }
  void decode(std::span<const std::int64_t> tokens, std::span<double> actions) const override {
    tokenizer_->decode(tokens, actions);
  }

 private:
  std::unique_ptr<const Tokenizer> tokenizer_;
  int num_tokens_ = 0;
};

class MotionTokens final : public ActionTokens {
 public:
  MotionTokens(int horizon, int action_dim) : horizon_(horizon) {
    require_dimension(MotionTokenizer::kActionDim, action_dim);
  }
  [[nodiscard]] std::int64_t min_token() const noexcept override { return 0; }
  [[nodiscard]] std::int64_t max_token() const noexcept override { return MotionTokenizer::kVocabSize - 1; }
  [[nodiscard]] bool fits(int num_tokens) const noexcept override { return num_tokens % horizon_ == 0; }
  void decode(std::span<const std::int64_t> tokens, std::span<double> actions) const override {
    constexpr std::size_t kDim = MotionTokenizer::kActionDim;
    const std::size_t per_row = tokens.size() / static_cast<std::size_t>(horizon_);
    double gripper = 0;
    for (std::size_t t = 0; t < static_cast<std::size_t>(horizon_); ++t) {
      const std::span<double> row = actions.subspan(t * kDim, kDim);
      tokenizer_.decode(tokens.subspan(t * per_row, per_row), row, gripper);
      gripper = row.back();
    }
  }

 private:
  MotionTokenizer tokenizer_;
  int horizon_;
};

class FastTokens final : public ActionTokens {
 public:
  FastTokens(FastTokenizer tokenizer, bool strict, int horizon, int action_dim)
      : tokenizer_(std::move(tokenizer)), strict_(strict), horizon_(horizon), action_dim_(action_dim) {}
  [[nodiscard]] std::int64_t min_token() const noexcept override { return 0; }
  [[nodiscard]] std::int64_t max_token() const noexcept override {
    return tokenizer_.encoder().vocab_size() - 1;
  }
  [[nodiscard]] bool fits(int /*num_tokens*/) const noexcept override { return true; }
  [[nodiscard]] bool is_open_ended() const noexcept override { return true; }
  void decode(std::span<const std::int64_t> tokens, std::span<double> actions) const override {
    tokenizer_.decode(tokens, horizon_, action_dim_, strict_, actions);
  }

 private:
  FastTokenizer tokenizer_;
  bool strict_;
  int horizon_, action_dim_;
};

struct Maker {
  std::unique_ptr<const Tokenizer> operator()(const UniformTokenizerSpec& s) const {
    return std::make_unique<UniformTokenizer>(s.low, s.high, s.num_bins);
  }
  std::unique_ptr<const Tokenizer> operator()(const Rt1TokenizerSpec& s) const {
    return std::make_unique<Rt1Tokenizer>(s.low, s.high, s.vocab_size, s.one_hot);
  }
  std::unique_ptr<const Tokenizer> operator()(const OpenVlaTokenizerSpec& s) const {
    return std::make_unique<OpenVlaTokenizer>(s.vocab_size, s.num_bins);
  }
  std::unique_ptr<const Tokenizer> operator()(const QuantileTokenizerSpec& s) const {
    return std::make_unique<QuantileTokenizer>(s.edges, s.action_dim);
  }
  std::unique_ptr<const Tokenizer> operator()(const MotionTokenizerSpec& /*s*/) const { return nullptr; }
  std::unique_ptr<const Tokenizer> operator()(const FastTokenizerSpec& /*s*/) const { return nullptr; }
};

}  // namespace

std::unique_ptr<const ActionTokens> ActionTokens::make(const TokenizerSpec& spec, int horizon, int action_dim,
                                                       const std::filesystem::path& folder) {
  if (std::holds_alternative<MotionTokenizerSpec>(spec))
    return std::make_unique<MotionTokens>(horizon, action_dim);
  if (const auto* fast = std::get_if<FastTokenizerSpec>(&spec))
    return std::make_unique<FastTokens>(FastTokenizer::load(folder.string()), fast->strict, horizon,
                                        action_dim);
  return std::make_unique<BinTokens>(std::visit(Maker{}, spec), horizon, action_dim);
}

void validate(const TokenizerSpec& spec) { (void)std::visit(Maker{}, spec); }

}  // namespace vla_rt
