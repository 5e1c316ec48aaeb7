#include <algorithm>
#include <set>
#include <utility>

#include "kinematics/urdf.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/kinematics/kinematics.hpp"

namespace vla_rt {

/// Picks the chain base -> tip, with all that hangs on it, out of a robot.
class UrdfChain {
 public:
  explicit UrdfChain(urdf::Robot robot) : robot_(std::move(robot)) {}

  Kinematics build(const std::string& tip, const std::string& base) {
    find_chain(tip, base);
    add_link(base_, {});
    add_descendants(base_, {});
    k_.tip_ = k_.links_[static_cast<std::size_t>(k_.link_index(tip))];
    for (urdf::Geometry& g : robot_.geometry) {
      const auto it = std::ranges::find(k_.link_names_, g.link);
      if (it == k_.link_names_.end()) continue;
      g.shape.link = static_cast<int>(it - k_.link_names_.begin());
      k_.geometry_.push_back(std::move(g.shape));
    }
    return std::move(k_);
  }

 private:
  void find_chain(const std::string& tip, const std::string& base) {
    for (const auto& [field, link] : {std::pair{"tip", &tip}, std::pair{"base", &base}})
      if (!(link == &base && base.empty()) && std::ranges::find(robot_.links, *link) == robot_.links.end())
        throw ConfigError(field, *link, "is not a link of this robot");
    std::size_t movable = 0;
    std::string link = tip;
    while (link != base) {
      const auto it = robot_.parent_joint.find(link);
      if (it == robot_.parent_joint.end()) {
        if (base.empty()) break;
        throw ConfigError("tip", tip, "does not descend from base " + base);
      }
      const urdf::Joint& joint = robot_.joints[it->second];
      if (joint.type == urdf::JointType::Other)
        throw ConfigError("joint " + joint.name, joint.type_name,
                          "must be fixed, revolute, continuous or prismatic");
      movable += joint.type != urdf::JointType::Fixed ? 1 : 0;
      chain_.insert(joint.name);
      link = joint.parent;
    }
    base_ = link;
    if (movable == 0) throw ConfigError("tip", tip, "no joint moves between it and base " + base_);
    if (movable > kMaxActionDim)
      throw ConfigError("tip", tip,
                        std::to_string(movable) + " joints; at most " + std::to_string(kMaxActionDim));
  }

  void add_link(const std::string& name, const Kinematics::Link& link) {
    k_.link_names_.push_back(name);
    k_.links_.push_back(link);
  }

  // The tree is free of cycles and its depth is bounded by the number of joints; a work list keeps the stack
  // flat.
  void add_descendants(const std::string& root, const Kinematics::Link& root_link) {
    std::vector<std::pair<std::string, Kinematics::Link>> open{{root, root_link}};
    while (!open.empty()) {
      const auto [name, parent] = std::move(open.back());
      open.pop_back();
      for (const urdf::Joint& joint : robot_.joints) {
        if (joint.parent != name) continue;
        Kinematics::Link link{parent.joint, compose(parent.offset, joint.origin), parent.loose};
        if (chain_.contains(joint.name) && joint.type != urdf::JointType::Fixed)
          link = add_joint(joint, link.offset);
        else if (joint.type != urdf::JointType::Fixed)
          add_loose_joint(joint, link);
        add_link(joint.child, link);
        open.emplace_back(joint.child, link);
      }
    }
  }

  Kinematics::Link add_joint(const urdf::Joint& joint, const Transform& origin) {
    const std::size_t i = k_.joints_.size();
    k_.joints_.push_back({origin, joint.axis, joint.type == urdf::JointType::Prismatic});
    k_.joint_names_.push_back(joint.name);
    k_.limits_.min_position[i] = joint.lower;
    k_.limits_.max_position[i] = joint.upper;
    k_.limits_.max_velocity[i] = joint.velocity;
    k_.limits_.max_acceleration[i] = joint.acceleration;
    k_.limits_.max_jerk[i] = joint.jerk;
    if (joint.mimic)
      k_.warnings_.push_back("joint " + joint.name + " mimics another one; the tag is ignored");
    return {static_cast<int>(i), {}, -1};
  }

  // `link`: its frame on the way in, its child's at zero on the way out.
  void add_loose_joint(const urdf::Joint& joint, Kinematics::Link& link) {
    k_.loose_joints_.push_back({joint.name, joint.type_name, link, joint.axis,
                                joint.type == urdf::JointType::Prismatic, joint.lower, joint.upper});
    link.loose = static_cast<int>(k_.loose_joints_.size()) - 1;
    k_.warnings_.push_back("joint " + joint.name + " is not on the chain and is taken at zero");
  }

  urdf::Robot robot_;
  std::set<std::string> chain_;  // joints between base and tip
  std::string base_;
  Kinematics k_;
};

Kinematics Kinematics::from_urdf_text(const std::string& text, const std::string& tip,
                                      const std::string& base, const std::string& name) {
  return UrdfChain(urdf::read(text, name)).build(tip, base);
}

Kinematics Kinematics::from_urdf(const std::string& path, const std::string& tip, const std::string& base) {
  Kinematics kinematics = from_urdf_text(urdf::read_text(path), tip, base, path);
  kinematics.source_ = path;
  return kinematics;
}

}  // namespace vla_rt
