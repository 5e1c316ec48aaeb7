#include "kinematics/urdf.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <string_view>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::urdf {
namespace {

constexpr std::size_t kMaxJoints = 4096;  // the tree checks are quadratic
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Reader {
 public:
  Reader(const std::string& text, const std::string& name) : name_(name), document_(xml::parse(text, name)) {}

  Robot read() {
    if (document_.root().name != "robot")
      fail(document_.root(), "the root element", document_.root().name, "must be <robot>");
    for (const int child : document_.root().children) {
      const xml::Element& e = at(child);
      if (e.name == "link") read_link(e);
      if (e.name == "joint") read_joint(e);
    }
    check_tree();
    return std::move(robot_);
  }

 private:
  [[nodiscard]] const xml::Element& at(int index) const {
    return document_.elements[static_cast<std::size_t>(index)];
  }
  [[noreturn]] void fail(const xml::Element& e, const std::string& what, const std::string& value,
                         const std::string& bound) const {
    throw FormatError(name_ + ":" + std::to_string(e.line) + ": " + what, value, bound);
  }
  [[nodiscard]] const xml::Element* child(const xml::Element& e, std::string_view name) const {
    const auto it = std::ranges::find_if(e.children, [&](int c) { return at(c).name == name; });
    return it == e.children.end() ? nullptr : &at(*it);
  }
  [[nodiscard]] const std::string& required(const xml::Element& e, std::string_view key,
                                            const std::string& what) const {
    const std::string* value = e.attribute(key);
    if (value == nullptr || value->empty()) fail(e, what, "", "needs attribute " + std::string(key));
    return *value;
  }

  // `count` finite numbers separated by white space.
  void numbers(const xml::Element& e, const std::string& what, const std::string& text, double* out,
               std::size_t count) const {
    const char* p = text.data();
    const char* const end = p + text.size();
    for (std::size_t i = 0;; ++i) {
      while (p != end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) ++p;
      if (p == end && i == count) return;
      if (p != end && *p == '+') ++p;
      double value = 0;
      const auto [next, error] = std::from_chars(p, end, value);
      if (i >= count || error != std::errc{} || !std::isfinite(value))
        fail(e, what, text, "must be " + std::to_string(count) + " finite number" + (count == 1 ? "" : "s"));
      p = next;
      out[i] = value;
    }
  }
  [[nodiscard]] double number(const xml::Element& e, std::string_view key, const std::string& owner,
                              double fallback) const {
    const std::string* text = e.attribute(key);
    if (text == nullptr) return fallback;
    double value = 0;
    numbers(e, owner + " " + std::string(key), *text, &value, 1);
    return value;
  }
  [[nodiscard]] double positive(const xml::Element& e, std::string_view key, const std::string& owner) const {
    (void)required(e, key, owner);
    const double value = number(e, key, owner, 0);
    if (!(value > 0)) fail(e, owner + " " + std::string(key), vla_rt::number(value), "must be > 0");
    return value;
  }

  [[nodiscard]] Transform origin(const xml::Element& owner, const std::string& what) const {
    Transform t;
    const xml::Element* e = child(owner, "origin");
    if (e == nullptr) return t;
    if (const std::string* xyz = e->attribute("xyz"))
      numbers(*e, what + " origin xyz", *xyz, t.translation.data(), 3);
    Vector3 rpy{};
    if (const std::string* text = e->attribute("rpy"))
      numbers(*e, what + " origin rpy", *text, rpy.data(), 3);
    const double cr = std::cos(rpy[0]), sr = std::sin(rpy[0]), cp = std::cos(rpy[1]), sp = std::sin(rpy[1]);
    const double cy = std::cos(rpy[2]), sy = std::sin(rpy[2]);
    t.rotation = {cy * cp,
                  cy * sp * sr - sy * cr,
                  cy * sp * cr + sy * sr,  //
                  sy * cp,
                  sy * sp * sr + cy * cr,
                  sy * sp * cr - cy * sr,  //
                  -sp,
                  cp * sr,
                  cp * cr};
    return t;
  }

  void read_link(const xml::Element& e) {
    const std::string& name = required(e, "name", "link");
    if (!link_names_.insert(name).second) fail(e, "link", name, "is given twice");
    robot_.links.push_back(name);
    for (const int index : e.children)
      if (at(index).name == "collision") read_collision(at(index), name);
  }

  void read_collision(const xml::Element& e, const std::string& link) {
    const std::string what = "collision of link " + link;
    Geometry g{link, {}};
    g.shape.origin = origin(e, what);
    const xml::Element* geometry = child(e, "geometry");
    if (geometry == nullptr || geometry->children.size() != 1)
      fail(e, what, "", "needs <geometry> with one shape");
    const xml::Element& shape = at(geometry->children.front());
    if (shape.name == "sphere") {
      g.shape.kind = LinkGeometry::Kind::Sphere;
      g.shape.size[0] = positive(shape, "radius", what);
    } else if (shape.name == "cylinder" || shape.name == "capsule") {
      g.shape.kind = LinkGeometry::Kind::Cylinder;
      g.shape.size = {positive(shape, "radius", what), positive(shape, "length", what), 0};
    } else if (shape.name == "box") {
      g.shape.kind = LinkGeometry::Kind::Box;
      numbers(shape, what + " size", required(shape, "size", what), g.shape.size.data(), 3);
      for (const double edge : g.shape.size)
        if (!(edge > 0)) fail(shape, what + " size", vla_rt::number(edge), "must be > 0");
    } else if (shape.name == "mesh") {
      g.shape.kind = LinkGeometry::Kind::Mesh;
      g.shape.mesh = required(shape, "filename", what);
      g.shape.size = {1, 1, 1};
      if (const std::string* scale = shape.attribute("scale"))
        numbers(shape, what + " scale", *scale, g.shape.size.data(), 3);
    } else {
      fail(shape, what, shape.name, "must be sphere, cylinder, box or mesh");
    }
    robot_.geometry.push_back(std::move(g));
  }

  void read_joint(const xml::Element& e) {
    Joint j;
    j.name = required(e, "name", "joint");
    const std::string what = "joint " + j.name;
    if (!joint_names_.insert(j.name).second) fail(e, "joint", j.name, "is given twice");
    j.type_name = required(e, "type", what);
    j.type = j.type_name == "fixed"        ? JointType::Fixed
             : j.type_name == "revolute"   ? JointType::Revolute
             : j.type_name == "continuous" ? JointType::Continuous
             : j.type_name == "prismatic"  ? JointType::Prismatic
                                           : JointType::Other;
    const xml::Element* parent = child(e, "parent");
    const xml::Element* kid = child(e, "child");
    if (parent == nullptr || kid == nullptr) fail(e, what, "", "needs <parent> and <child>");
    j.parent = required(*parent, "link", what + " parent");
    j.child = required(*kid, "link", what + " child");
    j.origin = origin(e, what);
    j.mimic = child(e, "mimic") != nullptr;
    if (j.type != JointType::Fixed && j.type != JointType::Other) read_motion(e, what, j);
    if (robot_.joints.size() >= kMaxJoints)
      fail(e, "joint", j.name, "is one of more than " + std::to_string(kMaxJoints));
    lines_.push_back(&e);
    robot_.joints.push_back(std::move(j));
  }

  void read_motion(const xml::Element& e, const std::string& what, Joint& j) {
    if (const xml::Element* axis = child(e, "axis")) {
      numbers(*axis, what + " axis", required(*axis, "xyz", what + " axis"), j.axis.data(), 3);
      const double norm = std::hypot(j.axis[0], j.axis[1], j.axis[2]);
      if (!(norm > 1e-9)) fail(*axis, what + " axis", vla_rt::number(norm), "must not be zero");
      for (double& a : j.axis) a /= norm;
    }
    const xml::Element* limit = child(e, "limit");
    if (limit == nullptr && j.type != JointType::Continuous) fail(e, what, "", "needs <limit>");
    const bool bounded = j.type != JointType::Continuous;
    j.lower = bounded ? number(*limit, "lower", what, 0) : -kInfinity;
    j.upper = bounded ? number(*limit, "upper", what, 0) : kInfinity;
    if (!(j.lower <= j.upper))
      fail(*limit, what + " lower", vla_rt::number(j.lower), "must be <= upper = " + vla_rt::number(j.upper));
    const auto rate = [&](std::string_view key) {
      return limit != nullptr ? number(*limit, key, what, kInfinity) : kInfinity;
    };
    j.velocity = rate("velocity"), j.acceleration = rate("acceleration"), j.jerk = rate("jerk");
    for (const double r : {j.velocity, j.acceleration, j.jerk})
      if (!(r >= 0)) fail(*limit, what + " limit", vla_rt::number(r), "must be >= 0");
  }

  void check_tree() {
    for (std::size_t i = 0; i < robot_.joints.size(); ++i) {
      const Joint& j = robot_.joints[i];
      for (const std::string* link : {&j.parent, &j.child})
        if (!link_names_.contains(*link))
          fail(*lines_[i], "joint " + j.name, *link, "is not a link of this robot");
      if (!robot_.parent_joint.emplace(j.child, i).second)
        fail(*lines_[i], "link", j.child, "has two parent joints");
    }
    for (std::size_t i = 0; i < robot_.joints.size(); ++i) {
      std::size_t steps = 0;
      for (auto it = robot_.parent_joint.find(robot_.joints[i].parent); it != robot_.parent_joint.end();
           it = robot_.parent_joint.find(robot_.joints[it->second].parent))
        if (++steps > robot_.joints.size())
          fail(*lines_[i], "joint " + robot_.joints[i].name, "", "is part of a cycle");
    }
  }

  const std::string& name_;
  xml::Document document_;
  Robot robot_;
  std::set<std::string> link_names_, joint_names_;
  std::vector<const xml::Element*> lines_;
};

}  // namespace

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FormatError(path, "", "cannot be read");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) throw FormatError(path, "", "cannot be read");
  return text;
}

Robot read(const std::string& text, const std::string& name) { return Reader(text, name).read(); }

}  // namespace vla_rt::urdf
