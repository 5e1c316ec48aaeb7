#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "constraints/segment_distance.hpp"
#include "vla_rt/constraints/collision_model.hpp"
#include "vla_rt/constraints/workspace.hpp"
#include "vla_rt/core/capacity.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt::constraints {

/// One distance that must stay positive: from a moving segment (rounded by its radius) to a shape that is
/// fixed in the frame of a joint before it, or in the world.
///
/// A direction counts as the end of a rod of 1 m that turns with its joint about its fixed other end; a cone
/// is a plane to it.
struct Gap {
  enum class Shape : std::uint8_t { Plane, Box, Segment };
  Shape shape = Shape::Plane;
  bool is_workspace = false;
  bool is_direction = false;
  int from = -1,
      to = 0;         // joints from+1..to move the segment relative to the shape, which is in frame `from`
  int body = 0;       // the moving segment
  int index = 0;      // into segments, boxes or planes of the model
  double radius = 0;  // of both together
  int first_name = 0, second_name = 0;
};

struct Plane {
  Vector3 normal{};   // unit
  double offset = 0;  // the gap is on the side normal . x >= offset
};

/// A gap at one configuration. `start` and `end` are the moving segment in frame `from`, `normal` the unit
/// direction from the shape to it in the same frame (zero when they overlap).
struct GapSample {
  double distance = 0;
  Vector3 normal{};
  Vector3 start{}, end{};
  double at = 0;  // nearest point of the segment, 0..1
};

using JointFrames = std::array<Transform, kMaxActionDim>;

/// The chain with its bodies and gaps. Immutable; every evaluation is allocation-free.
class GapModel {
 public:
  /// Throws ConfigError.
  GapModel(const Kinematics& kinematics, std::span<const Workspace> workspaces,
           const CollisionShapes* collision);

  [[nodiscard]] int num_joints() const noexcept { return static_cast<int>(joints_.size()); }
  [[nodiscard]] bool is_prismatic(std::size_t j) const noexcept { return joints_[j].prismatic; }
  [[nodiscard]] const std::vector<Gap>& gaps() const noexcept { return gaps_; }
  [[nodiscard]] const std::string& name(int index) const { return names_[static_cast<std::size_t>(index)]; }

  /// Frames after each joint, turned so that every joint's axis is its frame's z.
  void place(std::span<const double> q, JointFrames& frames) const noexcept;
  [[nodiscard]] GapSample sample(const Gap& gap, const JointFrames& frames) const noexcept;
  /// Largest normal . x of the shape, its radius and the segment's included: beyond it there is a gap.
  [[nodiscard]] double support(const Gap& gap, const Vector3& normal) const noexcept;
  /// d distance / d q_j (N), at frames that the sample was taken at.
  void gradient(const Gap& gap, const GapSample& sample, const JointFrames& frames,
                std::span<double> out) const noexcept;

  /// Upper bound of how far any point of a body can be from the axis of joint j <= its own, over all
  /// configurations with |q_k| <= most_q[k] for sliding joints k; 1 for a sliding joint j (0 for a
  /// direction). [m/rad or m/m]
  void reach(std::span<const double> most_q, std::vector<double>& out) const noexcept;
  [[nodiscard]] std::size_t num_bodies() const noexcept { return bodies_.size(); }

 private:
  struct Joint {
    Transform origin;
    bool prismatic = false;
  };
  struct Body {
    int joint = -1;
    Segment segment;  // in the (turned) frame of the joint; a direction where both ends are
    double radius = 0;
    int name = 0;
    bool is_direction = false;
  };
  void add_workspace(const Kinematics& kinematics, const Workspace& workspace);
  void add_cone(const AttachedFrame& frame, const std::string& name, const OrientationCone& cone);
  void add_wall(int body, const Plane& plane);
  void add_collision(const Kinematics& kinematics, const CollisionShapes& shapes);
  int add_body(const AttachedFrame& frame, const Segment& segment, double radius, const std::string& name);
  void add_self_gaps(const CollisionShapes& shapes, std::size_t first_body);
  void add_world_gaps(const CollisionShapes& shapes, std::size_t first_body);
  int name_index(const std::string& name);

  std::vector<Joint> joints_;
  std::vector<std::array<double, 9>> turns_;  // from the joint's frame as described to the one with z = axis
  std::vector<Body> bodies_;
  std::vector<Gap> gaps_;
  std::vector<Segment> segments_;
  std::vector<Box> boxes_;
  std::vector<Plane> planes_;
  std::vector<std::string> names_;
};

}  // namespace vla_rt::constraints
