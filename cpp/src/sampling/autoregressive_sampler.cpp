#include "vla_rt/sampling/autoregressive_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "sampling/enum_text.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr int kMaxTokens = 100'000, kMaxBatch = 65'536;
constexpr EnumText<TokenChoice, 2> kChoices{
    {{TokenChoice::Greedy, "greedy"}, {TokenChoice::Sample, "sample"}}};

void require_usable(std::span<const float> logits, int position) {
  bool any = false;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == INFINITY)
      throw ModelError(indexed("logits", static_cast<long>(i)), number(static_cast<double>(logits[i])),
                       "must be finite or -inf (position " + std::to_string(position) + ")");
    any = any || std::isfinite(logits[i]);
  }
  if (!any)
    throw ModelError("logits", "all -inf",
                     "must allow at least one token (position " + std::to_string(position) + ")");
}

}  // namespace

TokenModel::~TokenModel() = default;

const char* to_string(TokenChoice choice) noexcept { return text_of(kChoices, choice); }
TokenChoice token_choice_from_string(const std::string& text, const std::string& field) {
  return value_of(kChoices, text, field);
}

void AutoregressiveOptions::validate() const {
  if (num_tokens < 1 || num_tokens > kMaxTokens)
    throw ConfigError("num_tokens", std::to_string(num_tokens),
                      "must be in 1.." + std::to_string(kMaxTokens));
  if (!(temperature > 0 && std::isfinite(temperature)))
    throw ConfigError("temperature", number(temperature), "must be finite and > 0");
  if (top_k < 0) throw ConfigError("top_k", std::to_string(top_k), "must be >= 0");
  if (!(top_p > 0 && top_p <= 1)) throw ConfigError("top_p", number(top_p), "must be in (0, 1]");
  if (stop_token && *stop_token < 0)
    throw ConfigError("stop_token", std::to_string(*stop_token), "must be >= 0");
}

AutoregressiveSampler::AutoregressiveSampler(const AutoregressiveOptions& options) : options_(options) {
  options_.validate();
}

int AutoregressiveSampler::sample(TokenModel& model, int batch, const NoiseSource& noise,
                                  Workspace& workspace) const {
  if (batch < 1 || batch > kMaxBatch)
    throw ConfigError("batch", std::to_string(batch), "must be in 1.." + std::to_string(kMaxBatch));
  const auto rows = static_cast<std::size_t>(batch);
  workspace.tokens.assign(rows * static_cast<std::size_t>(options_.num_tokens), 0);
  workspace.stopped.assign(rows, 0);
  const std::size_t positions = options_.parallel ? static_cast<std::size_t>(options_.num_tokens) : 1;
  std::span<const float> logits;
  std::size_t vocabulary = 0;
  std::size_t length = 0;
  while (length < static_cast<std::size_t>(options_.num_tokens)) {
    if (length == 0 || !options_.parallel)
      logits = model.next_logits(std::span(workspace.tokens).first(rows * length), batch,
                                 static_cast<int>(length));
    if (vocabulary == 0) vocabulary = logits.size() / (rows * positions);
    if (vocabulary == 0 || logits.size() != rows * positions * vocabulary)
      throw ModelError("logits", std::to_string(logits.size()) + " values",
                       "must be B x V = " + std::to_string(rows * positions) + " x " +
                           std::to_string(vocabulary) + (options_.parallel ? " (B counts positions)" : ""));
    // (B, length) becomes (B, length + 1): from the last row on, so that nothing is overwritten before it is
    // moved.
    bool all_stopped = true;
    for (std::size_t row = rows; row-- > 0;) {
      auto* const tokens = workspace.tokens.data();
      std::copy_backward(tokens + row * length, tokens + (row + 1) * length,
                         tokens + row * (length + 1) + length);
      std::int64_t next = options_.stop_token.value_or(0);
      if (workspace.stopped[row] == 0) {
        const std::size_t position = row * positions + (options_.parallel ? length : 0);
        const auto own = logits.subspan(position * vocabulary, vocabulary);
        require_usable(own, static_cast<int>(length));
        next = choose(own, noise, static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(row),
                      workspace);
        if (next == options_.stop_token) workspace.stopped[row] = 1;
      }
      tokens[row * (length + 1) + length] = next;
      all_stopped = all_stopped && workspace.stopped[row] != 0;
    }
    ++length;
    if (all_stopped) break;
  }
  workspace.tokens.resize(rows * length);
  return static_cast<int>(length);
}

std::int64_t AutoregressiveSampler::choose(std::span<const float> logits, const NoiseSource& noise,
                                           std::uint32_t position, std::uint32_t row,
                                           Workspace& workspace) const {
  if (options_.mode == TokenChoice::Greedy) return std::ranges::max_element(logits) - logits.begin();
  auto& ranked = workspace.ranked;
  ranked.clear();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] != -INFINITY)
      ranked.emplace_back(static_cast<double>(logits[i]), static_cast<std::int32_t>(i));
  const auto likelier = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  if (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < ranked.size()) {
    std::ranges::nth_element(ranked, ranked.begin() + options_.top_k, likelier);
    ranked.resize(static_cast<std::size_t>(options_.top_k));
  }
  std::ranges::sort(ranked, likelier);
  const double largest = ranked.front().first;
  double total = 0;
  for (auto& [weight, token] : ranked) total += weight = std::exp((weight - largest) / options_.temperature);

  std::size_t kept = ranked.size();
  double mass = total;
  if (options_.top_p < 1) {
    mass = 0;
    for (kept = 0; kept < ranked.size() && mass < options_.top_p * total; ++kept) mass += ranked[kept].first;
  }
  while (ranked[kept - 1].first == 0) --kept;  // too unlikely for a double; the largest weight is 1
  double remaining = uniform_at(noise, position, row) * mass;
  for (std::size_t i = 0; i < kept; ++i) {
    remaining -= ranked[i].first;
    if (remaining < 0) return ranked[i].second;
  }
  return ranked[kept - 1].second;  // rounding alone leads here
}

}  // namespace vla_rt
