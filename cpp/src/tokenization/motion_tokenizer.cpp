#include "vla_rt/tokenization/motion_tokenizer.hpp"

#include <cmath>
#include <string>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr int kPositionSteps = 21, kRotationSteps = 10;
constexpr double kSmallestStep = 0.0005, kLargestStep = 0.05;  // [m]
constexpr double kSmallestTurn = 0.002, kLargestTurn = 0.1;    // [rad]
constexpr double kGripperLevels = 63;

// The i-th of `count` log-spaced values; the two ends are exact.
double log_step(double smallest, double largest, int count, int i) {
  if (i == 0) return smallest;
  if (i == count - 1) return largest;
  return smallest * std::pow(largest / smallest, static_cast<double>(i) / (count - 1));
}

}  // namespace

MotionTokenizer::MotionTokenizer() {
  const auto fill = [this](int first, std::size_t column, int steps, double smallest, double largest) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto base = static_cast<std::size_t>(first) + axis * static_cast<std::size_t>(2 * steps);
      for (int i = 0; i < steps; ++i) {
        const double step = log_step(smallest, largest, steps, i);
        table_[base + static_cast<std::size_t>(steps - 1 - i)][column + axis] = -step;
        table_[base + static_cast<std::size_t>(steps + i)][column + axis] = step;
      }
    }
  };
  fill(0, 0, kPositionSteps, kSmallestStep, kLargestStep);
  fill(kFirstRotation, 3, kRotationSteps, kSmallestTurn, kLargestTurn);
  for (int token = kFirstGripper; token < kOpen; ++token)
    table_[static_cast<std::size_t>(token)][6] = (token - kFirstGripper + 1) / kGripperLevels;
  table_[kClose][6] = 1;
}

int MotionTokenizer::nearest(const double* wanted, int first, int last, int from, int count) const noexcept {
  int best = first;
  double smallest = 0;
  for (int token = first; token <= last; ++token) {
    const auto& motion = table_[static_cast<std::size_t>(token)];
    double distance = 0;
    for (int i = from; i < from + count; ++i) {
      const double difference = wanted[i] - motion[static_cast<std::size_t>(i)];
      distance += difference * difference;
    }
    if (token == first || distance < smallest) {
      best = token;
      smallest = distance;
    }
  }
  return best;
}

void MotionTokenizer::encode(std::span<const double> actions, std::span<std::int64_t> tokens,
                             bool per_axis) const {
  const std::size_t width = per_axis ? 7 : 3;
  if (actions.size() % 7 != 0 || tokens.size() != actions.size() / 7 * width)
    throw ConfigError("actions", std::to_string(actions.size()) + " values",
                      "must be a multiple of 7 and fit the output");
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (!std::isfinite(actions[i]))
      throw ConfigError(indexed("actions", static_cast<long>(i)), number(actions[i]), "must be finite");
  for (std::size_t a = 0; a * 7 < actions.size(); ++a) {
    const double* action = actions.data() + a * 7;
    std::int64_t* out = tokens.data() + a * width;
    if (!per_axis) {
      out[0] = nearest(action, 0, kFirstRotation - 1, 0, 3);
      out[1] = nearest(action, kFirstRotation, kFirstGripper - 1, 3, 3);
      out[2] = nearest(action, kFirstGripper, kClose, 6, 1);
      continue;
    }
    for (int axis = 0; axis < 3; ++axis) {
      // "No motion" lies outside the axis' own tokens.
      const int step =
          nearest(action, axis * 2 * kPositionSteps, (axis + 1) * 2 * kPositionSteps - 1, axis, 1);
      const auto moved = static_cast<std::size_t>(axis);
      const bool still =
          std::abs(action[axis]) <= std::abs(action[axis] - table_[static_cast<std::size_t>(step)][moved]);
      out[axis] = still ? 6 * kPositionSteps : step;
      const int first = kFirstRotation + axis * 2 * kRotationSteps;
      const int turn = nearest(action, first, first + 2 * kRotationSteps - 1, 3 + axis, 1);
      const double rest = action[3 + axis] - table_[static_cast<std::size_t>(turn)][3 + moved];
      out[3 + axis] =
          std::abs(action[3 + axis]) <= std::abs(rest) ? kFirstRotation + 6 * kRotationSteps : turn;
    }
    out[6] = nearest(action, kFirstGripper, kClose, 6, 1);
  }
}

void MotionTokenizer::decode(std::span<const std::int64_t> tokens, std::span<double> action,
                             double gripper) const {
  if (action.size() != 7)
    throw ConfigError("action", std::to_string(action.size()) + " values", "must have 7");
  if (!std::isfinite(gripper)) throw ConfigError("gripper", number(gripper), "must be finite");
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= kVocabSize)
      throw ConfigError(indexed("tokens", static_cast<long>(i)), std::to_string(tokens[i]),
                        "must be in 0..255");
  for (double& x : action) x = 0;
  action[6] = gripper;
  for (const std::int64_t token : tokens) {
    const auto& motion = table_[static_cast<std::size_t>(token)];
    for (std::size_t i = 0; i < 6; ++i) action[i] += motion[i];
    if (token >= kFirstGripper) action[6] = motion[6];
  }
}

}  // namespace vla_rt
