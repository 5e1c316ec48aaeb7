#include "execution/flight_format.hpp"

#include <cmath>
#include <string>

#include "execution/plan.hpp"
#include "package/crc32.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt::execution {
namespace {

static_assert(sizeof(FlightTick::Head) == 10 * 8 + 8, "no padding");

// The parts of a set-up, one after the other; what reads them is `visit` itself.
class Writer {
 public:
  explicit Writer(std::vector<char>& out) : out_(out) {}
  template <class T>
  void operator()(const char*, const T& value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    const auto* bytes = reinterpret_cast<const char*>(&value);
    out_.insert(out_.end(), bytes, bytes + sizeof value);
  }

 private:
  std::vector<char>& out_;
};

class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : bytes_(bytes) {}
  template <class T>
  void operator()(const char* field, T& value) {
    if (bytes_.size() < sizeof value) throw FormatError(field, "", "is cut off");
    if constexpr (std::is_same_v<T, bool>) {
      if (bytes_[0] != 0 && bytes_[0] != 1)
        throw FormatError(field, std::to_string(bytes_[0]), "must be 0 or 1");
    }
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
  }
  void end() const {
    if (!bytes_.empty())
      throw FormatError("set-up", std::to_string(bytes_.size()) + " bytes more", "must end here");
  }

 private:
  std::span<const char> bytes_;
};

template <class Enum>
void require_enum(const char* field, Enum value, Enum last) {
  if (static_cast<int>(value) < 0 || static_cast<int>(value) > static_cast<int>(last))
    throw FormatError(field, std::to_string(static_cast<int>(value)),
                      "must be in 0.." + std::to_string(static_cast<int>(last)));
}

constexpr bool kReading = true;

template <bool reading, class F, class Limits>
void visit_limits(F& f, Limits& limits) {
  f("num_joints", limits.num_joints);
  if (reading && (limits.num_joints < 0 || limits.num_joints > kMaxActionDim))
    throw FormatError("num_joints", std::to_string(limits.num_joints), "must be in 0..64");
  for (auto* values : {&limits.min_position, &limits.max_position, &limits.max_velocity,
                       &limits.max_acceleration, &limits.max_jerk})
    for (int j = 0; j < limits.num_joints; ++j) f("limits", (*values)[static_cast<std::size_t>(j)]);
}

template <bool reading, class F, class Setup>
void visit_setup(F& f, Setup& s) {
  std::uint32_t version = 2;
  f("version", version);
  if (version != 1 && version != 2) throw FormatError("version", std::to_string(version), "must be 1 or 2");
  if (version > 1) f("wall_offset_ns", s.wall_offset_ns);
  f("period_s", s.period_s);
  visit_limits<reading>(f, s.limits);
  f("path_preserving", s.enforcer.path_preserving);
  f("smoothing_s", s.enforcer.smoothing_s);
  for (int j = 0; j < s.limits.num_joints; ++j)
    f("start_position", s.start_position[static_cast<std::size_t>(j)]);
  f("has_tool_actions", s.has_tool_actions);
  f("has_surroundings", s.has_surroundings);
  f("part", s.part);

  auto& e = s.executor;
  f("action_dim", e.action_dim);
  f("executor.period_s", e.period_s);
  f("mode", e.mode);
  f("execution_horizon", e.execution_horizon);
  f("anchor_rows", e.anchor_rows);
  f("blend_s", e.blend_s);
  f("interpolation", e.interpolation);
  f("merge", e.merge);
  for (auto& weight : e.merge_weights) f("merge_weights", weight);
  f("on_starvation", e.on_starvation);
  f("temporal_ensemble_coeff", e.temporal_ensemble_coeff);
  auto count = static_cast<std::uint32_t>(e.discrete_dims.size());
  f("discrete_dims", count);
  auto rotations = static_cast<std::uint32_t>(e.rotation_dims.size());
  f("rotation_dims", rotations);
  bool limited = e.limits.has_value();
  f("executor.limits", limited);
  if constexpr (reading) {
    if (count > kMaxActionDim)
      throw FormatError("discrete_dims", std::to_string(count), "must be at most 64");
    if (rotations > kMaxActionDim)
      throw FormatError("rotation_dims", std::to_string(rotations), "must be at most 64");
    e.discrete_dims.resize(count);
    e.rotation_dims.resize(rotations);
    if (limited) e.limits.emplace();
  }
  for (auto& dim : e.discrete_dims) f("discrete_dims", dim);
  for (auto& rotation : e.rotation_dims) {
    f("rotation_dims", rotation.first);
    f("rotation_dims", rotation.format);
  }
  if (limited) visit_limits<reading>(f, *e.limits);
}

// Fills in a frame whose payload was appended behind room for its head.
void close_frame(std::vector<char>& out, std::size_t begin, FrameType type) {
  const std::span<const char> payload = std::span(out).subspan(begin + sizeof(FrameHead));
  const FrameHead head{static_cast<std::uint32_t>(payload.size()), type, frame_crc(type, payload)};
  std::memcpy(out.data() + begin, &head, sizeof head);
}

std::size_t open_frame(std::vector<char>& out) {
  const std::size_t begin = out.size();
  out.resize(begin + sizeof(FrameHead));
  return begin;
}

template <class T>
void put(std::vector<char>& out, const T* values, std::size_t n) {
  const auto* bytes = reinterpret_cast<const char*>(values);
  out.insert(out.end(), bytes, bytes + n * sizeof(T));
}

// What of a picture lies before its name and its pixels.
struct PictureHead {
  TimeNs time_ns;
  std::int32_t height, width;
  std::uint64_t name_length;
};

// What of a chunk lies before its rows.
struct ChunkHead {
  TimeNs time_ns, cursor_ns;
  std::uint64_t plan_number, sequence;
  TimeNs start_ns, period_ns, inference_ns;
  std::int32_t horizon, action_dim;
  std::uint64_t result;
};

}  // namespace

std::uint32_t frame_crc(FrameType type, std::span<const char> payload) noexcept {
  Crc32 crc;
  crc.add({reinterpret_cast<const char*>(&type), sizeof type});
  crc.add(payload);
  return crc.value();
}

std::optional<std::span<const char>> whole_frame(std::span<const char> bytes, FrameHead& head) noexcept {
  if (bytes.size() < sizeof head) return {};
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.length > kMaxPayload || bytes.size() - sizeof head < head.length) return {};
  const std::span<const char> payload = bytes.subspan(sizeof head, head.length);
  if (frame_crc(head.type, payload) != head.crc) return {};
  return payload;
}

void append(const FlightSetup& setup, std::vector<char>& out) {
  const std::size_t begin = open_frame(out);
  Writer writer(out);
  visit_setup<!kReading>(writer, setup);
  close_frame(out, begin, FrameType::Setup);
}

void append(const FlightTick& tick, std::vector<char>& out) {
  const std::size_t begin = open_frame(out);
  put(out, &tick.head, 1);
  put(out, tick.values.data(), tick.size());
  close_frame(out, begin, FrameType::Tick);
}

void append(const FlightChunk& record, std::vector<char>& out) {
  const ActionChunk& chunk = record.chunk;
  const std::size_t begin = open_frame(out);
  const ChunkHead head{.time_ns = record.time_ns,
                       .cursor_ns = record.planned.now,
                       .plan_number = record.planned.number,
                       .sequence = chunk.sequence,
                       .start_ns = chunk.start_time_ns,
                       .period_ns = chunk.period_ns,
                       .inference_ns = chunk.inference_ns,
                       .horizon = chunk.horizon,
                       .action_dim = chunk.action_dim,
                       .result = static_cast<std::uint64_t>(record.result)};
  put(out, &head, 1);
  put(out, chunk.values.data(),
      static_cast<std::size_t>(chunk.horizon) * static_cast<std::size_t>(chunk.action_dim));
  close_frame(out, begin, FrameType::Chunk);
}

void append(const FlightSnapshot& snapshot, std::vector<char>& out) {
  const std::size_t begin = open_frame(out);
  put(out, &snapshot.tick, 1);
  put(out, snapshot.enforcer.joints.data(), static_cast<std::size_t>(snapshot.enforcer.num_joints));
  close_frame(out, begin, FrameType::Snapshot);
}

void append(const FlightPicture& picture, std::vector<char>& out) {
  const std::size_t begin = open_frame(out);
  const PictureHead head{.time_ns = picture.time_ns,
                         .height = picture.height,
                         .width = picture.width,
                         .name_length = picture.name.size()};
  put(out, &head, 1);
  put(out, picture.name.data(), picture.name.size());
  put(out, picture.pixels.data(), picture.pixels.size());
  close_frame(out, begin, FrameType::Picture);
}

FlightSetup parse_setup(std::span<const char> payload) {
  FlightSetup setup;
  Reader reader(payload);
  visit_setup<kReading>(reader, setup);
  reader.end();
  const ChunkExecutorConfig& e = setup.executor;
  require_enum("mode", e.mode, ExecutionMode::Rtc);
  require_enum("interpolation", e.interpolation, Interpolation::Quintic);
  require_enum("merge", e.merge, Merge::Average);
  require_enum("on_starvation", e.on_starvation, StarvationPolicy::Decelerate);
  for (const RotationDims& rotation : e.rotation_dims)
    require_enum("rotation_dims", rotation.format, RotationFormat::Rotation6d);
  try {
    setup.limits.validate();
    e.validate();
  } catch (const ConfigError& error) {
    throw FormatError(error.name(), error.value(), error.bound());
  }
  return setup;
}

bool parse(std::span<const char> payload, const FlightSetup& setup, FlightTick& tick) noexcept {
  if (payload.size() < sizeof tick.head) return false;
  FlightTick::Head head;
  std::memcpy(&head, payload.data(), sizeof head);
  const auto n = static_cast<std::size_t>(setup.limits.num_joints);
  if (head.num_joints != setup.limits.num_joints ||
      static_cast<int>(head.status) > static_cast<int>(Status::Fault))
    return false;
  if (payload.size() != sizeof head + kNumFlightSignals * n * sizeof(double)) return false;
  if (head.plan_ns > kLatest || head.plan_ns < kEarliest) return false;
  tick.head = head;
  std::memcpy(tick.values.data(), payload.data() + sizeof head, payload.size() - sizeof head);
  return true;
}

bool parse(std::span<const char> payload, const FlightSetup& setup, FlightChunk& record) {
  ChunkHead head;
  if (payload.size() < sizeof head) return false;
  std::memcpy(&head, payload.data(), sizeof head);
  if (head.horizon < 1 || head.horizon > kMaxHorizon || head.action_dim < 1 ||
      head.action_dim > kMaxActionDim)
    return false;
  if (!setup.has_tool_actions && head.action_dim != setup.executor.action_dim) return false;
  if (head.result > static_cast<std::uint64_t>(PushResult::QueueFull)) return false;
  const std::size_t values =
      static_cast<std::size_t>(head.horizon) * static_cast<std::size_t>(head.action_dim);
  if (payload.size() != sizeof head + values * sizeof(double)) return false;
  record.time_ns = head.time_ns;
  record.planned = {.now = head.cursor_ns, .number = head.plan_number};
  record.result = static_cast<PushResult>(head.result);
  ActionChunk& chunk = record.chunk;
  chunk.resize(head.horizon, head.action_dim);
  chunk.sequence = head.sequence;
  chunk.start_time_ns = head.start_ns;
  chunk.period_ns = head.period_ns;
  chunk.inference_ns = head.inference_ns;
  std::memcpy(chunk.values.data(), payload.data() + sizeof head, values * sizeof(double));
  return true;
}

bool parse(std::span<const char> payload, FlightSnapshot& snapshot) noexcept {
  const std::size_t head = sizeof snapshot.tick;
  constexpr std::size_t joint = sizeof(EnforcerSnapshot::Joint);
  if (payload.size() < head || (payload.size() - head) % joint != 0) return false;
  const std::size_t n = (payload.size() - head) / joint;
  if (n > snapshot.enforcer.joints.size()) return false;
  std::memcpy(&snapshot.tick, payload.data(), head);
  snapshot.enforcer.num_joints = static_cast<std::int32_t>(n);
  std::memcpy(snapshot.enforcer.joints.data(), payload.data() + head, payload.size() - head);
  return true;
}

bool parse(std::span<const char> payload, FlightPicture& picture) {
  PictureHead head;
  if (payload.size() < sizeof head) return false;
  std::memcpy(&head, payload.data(), sizeof head);
  payload = payload.subspan(sizeof head);
  if (head.height < 1 || head.width < 1 || head.name_length > payload.size()) return false;
  const std::span<const char> pixels = payload.subspan(head.name_length);
  const auto count = 3 * static_cast<std::uint64_t>(head.height) * static_cast<std::uint64_t>(head.width);
  if (pixels.size() != count || count > FlightPicture::kMaxBytes) return false;
  picture.time_ns = head.time_ns;
  picture.height = head.height;
  picture.width = head.width;
  picture.name.assign(payload.data(), head.name_length);
  picture.pixels.assign(pixels.begin(), pixels.end());
  return true;
}

}  // namespace vla_rt::execution
