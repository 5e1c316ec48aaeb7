#pragma once
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/core/api.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt {

/// A capsule, or a sphere where start and end are equal, on a link or, with an empty link, in the world.
struct Capsule {
  Vector3 start{}, end{};  ///< ends of its axis [m], in the frame of the link (the base's)
  double radius = 0;       ///< [m], >= 0
  std::string link;
};

/// A solid box in the world.
struct WorldBox {
  Transform pose;       ///< of its centre, in the base frame
  Vector3 half_size{};  ///< [m]
};

/// What must not touch.
struct CollisionShapes {
  std::vector<Capsule> capsules;  ///< on links; several per link are allowed
  std::vector<Capsule> world_capsules;
  std::vector<WorldBox> world_boxes;
  std::vector<HalfSpace> world_half_spaces;  ///< solid where normal . x <= offset
  /// Pairs of links that may touch; "world" stands for everything in the world. Links that one joint joins
  /// may always.
  std::vector<std::pair<std::string, std::string>> ignore;
};

/// Two things and the distance between their surfaces.
struct Clearance {
  double distance = 0;        ///< [m]; below zero they overlap, by at least so much
  std::string first, second;  ///< names of links, or "world"
};

/// Capsules on a robot's links, each against the others and against the world.
///
/// Links that one joint joins are never checked against each other, nor what does not move relative to each
/// other. Immutable, cheap to copy (copies share). Thread: any number.
class VLA_RT_API CollisionModel {
 public:
  /// Throws ConfigError for unknown links, numbers that are not finite, negative radii or sizes, a capsule
  /// without a link, or nothing to check. A copy of the kinematics is kept.
  CollisionModel(const Kinematics& kinematics, const CollisionShapes& shapes);

  /// One capsule around each sphere, cylinder, box and STL mesh of the URDF's collision geometry; a box gets
  /// one along its longest edge, a mesh a small one that holds all its corners. Throws ConfigError naming the
  /// link for a mesh that is not found or no STL file, FormatError for one that is broken.
  [[nodiscard]] static std::vector<Capsule> capsules_of(const Kinematics& kinematics);

  /// Smallest distance between any two things that must not touch [m], exact where it is positive.
  /// Infinite where no pair is left to check. Real-time: wait-free, no allocation.
  [[nodiscard]] double distance(std::span<const double> q) const noexcept VLA_RT_NONBLOCKING;
  /// The pair with that distance. Real-time: no (allocates the names).
  [[nodiscard]] Clearance closest(std::span<const double> q) const;

  /// Pairs of links (and the world) that overlap at q, each once with its least distance. At a pose where the
  /// robot is known not to touch, these are the pairs that capsules are too coarse for: ignore them.
  /// Real-time: no.
  [[nodiscard]] std::vector<Clearance> overlaps(std::span<const double> q) const;

  [[nodiscard]] const Kinematics& kinematics() const noexcept;
  [[nodiscard]] const CollisionShapes& shapes() const noexcept;
  /// Pairs of things that are checked.
  [[nodiscard]] int num_pairs() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace vla_rt
