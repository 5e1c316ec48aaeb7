#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// A vocabulary of 256 small motions for 7-number actions [dx, dy, dz (m), droll, dpitch, dyaw (rad),
/// gripper].
///
/// | tokens   | meaning |
/// |----------|--------------------------------------------------------------------------------------------------|
/// | 0..125   | a step along x (0..41), y (42..83) or z (84..125) | | 126, 127 | no translation | | 128..187
/// | a turn about x (128..147), y (148..167) or z (168..187)                                            | |
/// 188..191 | no rotation | | 192..253 | gripper at (token - 191)/63: 1/63 .. 62/63 | | 254      | gripper
/// open, 0                                                                                  | | 255      |
/// gripper closed, 1                                                                                |
///
/// Within an axis the first half steps back, from the largest to the smallest, the second half forward, from
/// the smallest to the largest. Steps are log-spaced: 21 from 0.5 mm to 50 mm, 10 from 2 mrad to 100 mrad.
///
/// Thread: immutable; any number of threads. Real-time: no allocation, but may throw.
class VLA_RT_API MotionTokenizer {
 public:
  static constexpr int kVocabSize = 256;
  static constexpr int kActionDim = 7;
  static constexpr int kNumGroups = 3;  ///< position, rotation, gripper
  static constexpr int kFirstRotation = 128, kFirstGripper = 192, kOpen = 254, kClose = 255;

  MotionTokenizer();

  /// What one token does: the numbers of its own group; the others are 0.
  [[nodiscard]] const std::array<double, kActionDim>& motion(int token) const {
    return table_.at(static_cast<std::size_t>(token));
  }

  /// Actions (..., 7) to tokens (..., 3): in each group the token whose motion is nearest (Euclidean, the
  /// lowest of equals). With `per_axis`, (..., 7): the nearest token of each axis, then the gripper's;
  /// decoding those gives every axis to the nearest step. Throws ConfigError naming "actions[i]" when a
  /// number is not finite.
  void encode(std::span<const double> actions, std::span<std::int64_t> tokens, bool per_axis = false) const;

  /// A sequence of tokens, in any number and order, to one action (7): translations and rotations add up, of
  /// several gripper tokens the last one counts, and without any the gripper holds the value given. Throws
  /// ConfigError naming "tokens[i]" for an id outside 0..255, or "gripper" when that is not finite.
  void decode(std::span<const std::int64_t> tokens, std::span<double> action, double gripper = 0) const;

 private:
  [[nodiscard]] int nearest(const double* wanted, int first, int last, int from, int count) const noexcept;

  std::array<std::array<double, kActionDim>, kVocabSize> table_{};
};

}  // namespace vla_rt
