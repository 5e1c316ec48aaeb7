#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vla_rt/core/api.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/kinematics/transform.hpp"

namespace vla_rt {

/// Collision geometry of a link as the robot description gives it.
struct LinkGeometry {
  enum class Kind : std::uint8_t { Sphere, Cylinder, Box, Mesh };
  int link = 0;  ///< index into `link_names`
  Kind kind = Kind::Sphere;
  Transform origin;  ///< in the link's frame; a cylinder's axis is its z
  Vector3 size{};    ///< sphere: radius; cylinder: radius, length; box: full edges [m]; mesh: its scale
  std::string mesh;  ///< file name as written, for Mesh
};

/// Position and velocity limits of the joints of a chain; what the description leaves open is infinite.
struct KinematicLimits {
  JointArray min_position{}, max_position{};  ///< [rad] or [m]; infinite for continuous joints
  JointArray max_velocity{};                  ///< [rad/s] or [m/s]
  JointArray max_acceleration{};              ///< [rad/s^2], where <limit acceleration=...> is given
  JointArray max_jerk{};                      ///< [rad/s^3], where <limit jerk=...> is given
};

/// One movable joint of a chain: turns about (or, if prismatic, slides along) `axis`.
struct ChainJoint {
  Transform origin;  ///< from the frame of the joint before
  Vector3 axis{};    ///< unit, in the joint's frame
  bool prismatic = false;
};

/// A frame that moves with a joint.
struct AttachedFrame {
  int joint = -1;    ///< last movable joint before it, -1: fixed to the base
  Transform offset;  ///< from that joint's frame (the base's), at zero of all joints off the chain
  int loose = -1;    ///< last joint off the chain before it, an index into `loose_joints`, -1: none
};

/// A movable joint that hangs on the chain but is not between base and tip, such as a finger's.
struct LooseJoint {
  std::string name, type;
  AttachedFrame frame;  ///< before its motion; `loose` is the one before it
  Vector3 axis{};       ///< unit, in that frame
  bool prismatic = false;
  double min_position = 0, max_position = 0;  ///< [rad] or [m]; infinite where the description leaves it open
};

/// A serial chain of revolute, continuous and prismatic joints from a base link to a tip link.
///
/// Links that hang on the chain by fixed joints (tools, covers) belong to it; other branches do not, and
/// movable joints on them (`loose_joints`) are taken at zero. Immutable after construction, so that any
/// number of threads may use one. Real-time: `forward`, `link_transforms` and `jacobian` are wait-free and
/// allocate nothing; construction is set-up.
class VLA_RT_API Kinematics {
 public:
  /// Reads a URDF file. An empty `base` means the root link. Throws FormatError naming file, element and
  /// value for a file that is not a well-formed URDF; ConfigError for a link that does not exist, a tip that
  /// does not descend from the base, a chain without movable joints or with more than kMaxActionDim, and
  /// joints of other types (planar, floating).
  static Kinematics from_urdf(const std::string& path, const std::string& tip, const std::string& base = {});
  /// The same from the text itself; `name` stands for the file in errors.
  static Kinematics from_urdf_text(const std::string& text, const std::string& tip,
                                   const std::string& base = {}, const std::string& name = "urdf");

  [[nodiscard]] int num_joints() const noexcept { return static_cast<int>(joints_.size()); }
  [[nodiscard]] const std::vector<std::string>& joint_names() const noexcept { return joint_names_; }
  [[nodiscard]] const KinematicLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] const std::vector<std::string>& link_names() const noexcept { return link_names_; }
  /// Index of a link into `link_names`; ConfigError naming it when it is not on the chain.
  [[nodiscard]] int link_index(const std::string& name) const;
  /// Number of the joint that moves the link last (0..N-1), -1 for one that never moves.
  [[nodiscard]] int joint_of_link(int link) const noexcept {
    return links_[static_cast<std::size_t>(link)].joint;
  }
  [[nodiscard]] const ChainJoint& joint(int i) const noexcept { return joints_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] const AttachedFrame& link(int i) const noexcept {
    return links_[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] const AttachedFrame& tip() const noexcept { return tip_; }
  [[nodiscard]] const std::vector<LooseJoint>& loose_joints() const noexcept { return loose_joints_; }
  [[nodiscard]] const std::vector<LinkGeometry>& collision_geometry() const noexcept { return geometry_; }
  /// Path of the description as given, from which mesh names count; empty when it was text.
  [[nodiscard]] const std::string& source() const noexcept { return source_; }
  /// What was left out while reading (mimic tags, branches), one sentence each.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  /// Pose of the tip in the base frame. `q` (N) [rad] or [m].
  [[nodiscard]] Transform forward(std::span<const double> q) const noexcept VLA_RT_NONBLOCKING;
  /// Poses of all links (`link_names().size()`) in the base frame.
  void link_transforms(std::span<const double> q, std::span<Transform> out) const noexcept VLA_RT_NONBLOCKING;
  /// Jacobian at the tip, (6, N) row-major: linear [m/rad] above angular [rad/rad], axes of the base frame.
  void jacobian(std::span<const double> q, std::span<double> out) const noexcept VLA_RT_NONBLOCKING;
  /// Both at once, for little more than the price of one: the pose of the tip, and its Jacobian in
  /// `jacobian`.
  [[nodiscard]] Transform forward(std::span<const double> q,
                                  std::span<double> jacobian) const noexcept VLA_RT_NONBLOCKING;
  /// Linear Jacobian (3, N) of a point given in a link's frame.
  void point_jacobian(std::span<const double> q, int link, const Vector3& point,
                      std::span<double> out) const noexcept VLA_RT_NONBLOCKING;

 private:
  using Joint = ChainJoint;
  using Link = AttachedFrame;
  using Frames = std::array<Transform, kMaxActionDim>;
  void joint_frames(std::span<const double> q, Frames& frames) const noexcept VLA_RT_NONBLOCKING;
  [[nodiscard]] Transform place(const Link& link, const Frames& frames) const noexcept;
  void jacobian_at(const Frames& frames, int last_joint, const Vector3& point, std::span<double> linear,
                   double* angular) const noexcept;

  std::vector<Joint> joints_;
  std::vector<std::string> joint_names_, link_names_, warnings_;
  std::vector<Link> links_;
  std::vector<LooseJoint> loose_joints_;
  std::vector<LinkGeometry> geometry_;
  KinematicLimits limits_;
  std::string source_;
  Link tip_;

  friend class UrdfChain;
};

}  // namespace vla_rt
