#include "execution/shared_memory_segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::execution {
namespace {

static_assert(sizeof(vla_rt_shm) % sizeof(std::uint64_t) == 0);
static_assert(offsetof(vla_rt_shm, driver_heartbeat) == VLA_RT_SHM_HEADER_WORDS * sizeof(std::uint64_t));
static_assert(VLA_RT_SHM_JOINTS == kMaxActionDim);

constexpr auto kSize = static_cast<off_t>(sizeof(vla_rt_shm));

// "/name", as shm_open wants it.
std::string checked_name(const std::string& name) {
  const std::string bare = name.starts_with('/') ? name.substr(1) : name;
  if (bare.empty() || bare.size() > 200 || bare == "." || bare == ".." ||
      bare.find('/') != std::string::npos || bare.find('\0') != std::string::npos)
    throw ConfigError("name", name, "must be 1 to 200 characters without '/'");
  return "/" + bare;
}

[[noreturn]] void refuse(const std::string& name, const char* what) {
  throw VlaRtError("shared memory " + name + ": " + what + ": " + std::strerror(errno));
}

struct flock record(SharedMemorySegment::Side side, short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(side);
  lock.l_len = 1;
  return lock;
}

void require_word(const char* field, std::uint64_t value, std::uint64_t expected) {
  if (value != expected)
    throw FormatError(field, std::to_string(value), "must be " + std::to_string(expected));
}

JointArray array_of(const std::uint64_t (&words)[VLA_RT_SHM_JOINTS], std::size_t n) {
  JointArray values{};
  for (std::size_t j = 0; j < n; ++j) values[j] = vla_rt_shm_load_double(&words[j]);
  return values;
}

JointLimits limits_of(const vla_rt_shm& memory, std::size_t n) {
  const auto read = [n](const auto& words) { return array_of(words, n); };
  JointLimits limits{.num_joints = static_cast<std::int32_t>(n),
                     .min_position = read(memory.min_position),
                     .max_position = read(memory.max_position),
                     .max_velocity = read(memory.max_velocity),
                     .max_acceleration = read(memory.max_acceleration),
                     .max_jerk = read(memory.max_jerk)};
  try {
    limits.validate();
  } catch (const ConfigError& error) {
    throw FormatError(error.name(), error.value(), error.bound());
  }
  return limits;
}

void write_array(std::uint64_t (&words)[VLA_RT_SHM_JOINTS], const JointArray& values) {
  for (std::size_t j = 0; j < values.size(); ++j) vla_rt_shm_store_double(&words[j], values[j]);
}

}  // namespace

SharedMemorySegment::~SharedMemorySegment() {
  if (memory_ != nullptr) munmap(memory_, sizeof(vla_rt_shm));
  if (file_ >= 0) close(file_);
}
SharedMemorySegment::SharedMemorySegment(SharedMemorySegment&& other) noexcept
    : name_(std::move(other.name_)),
      file_(std::exchange(other.file_, -1)),
      memory_(std::exchange(other.memory_, nullptr)) {}
SharedMemorySegment& SharedMemorySegment::operator=(SharedMemorySegment&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(file_, other.file_);
  std::swap(memory_, other.memory_);
  return *this;
}

void SharedMemorySegment::map() {
  void* memory =
      mmap(nullptr, sizeof(vla_rt_shm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file_, 0);
  if (memory == MAP_FAILED) refuse(name_, "cannot be mapped");
  memory_ = static_cast<vla_rt_shm*>(memory);
}

SharedMemorySegment SharedMemorySegment::make(const std::string& name, const JointLimits& limits) {
  limits.validate();
  SharedMemorySegment segment;
  segment.name_ = checked_name(name);
  const char* path = segment.name_.c_str();
  if (SharedMemorySegment old; (old.file_ = shm_open(path, O_RDWR, 0)) >= 0) {
    if (!old.lock(Side::Driver))
      throw VlaRtError("shared memory " + segment.name_ + ": a driver is using it");
    shm_unlink(path);
  }
  segment.file_ = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (segment.file_ < 0) refuse(segment.name_, "cannot be made");
  try {
    if (!segment.lock(Side::Driver) || ftruncate(segment.file_, kSize) != 0)
      refuse(segment.name_, "cannot be prepared");
    segment.map();
  } catch (...) {
    shm_unlink(path);
    throw;
  }
  vla_rt_shm& memory = *segment.memory_;
  memory.version = VLA_RT_SHM_VERSION;
  memory.size_bytes = sizeof(vla_rt_shm);
  memory.num_joints = static_cast<std::uint64_t>(limits.num_joints);
  write_array(memory.min_position, limits.min_position);
  write_array(memory.max_position, limits.max_position);
  write_array(memory.max_velocity, limits.max_velocity);
  write_array(memory.max_acceleration, limits.max_acceleration);
  write_array(memory.max_jerk, limits.max_jerk);
  vla_rt_shm_store(&memory.driver_phase, VLA_RT_SHM_RUNNING);
  __atomic_store_n(&memory.magic, VLA_RT_SHM_MAGIC, __ATOMIC_RELEASE);  // whoever sees it sees the rest
  return segment;
}

SharedMemorySegment SharedMemorySegment::open(const std::string& name, JointLimits& limits) {
  SharedMemorySegment segment;
  segment.name_ = checked_name(name);
  segment.file_ = shm_open(segment.name_.c_str(), O_RDWR, 0);
  if (segment.file_ < 0) refuse(segment.name_, "cannot be opened (has its driver started?)");
  struct stat status{};
  if (fstat(segment.file_, &status) != 0) refuse(segment.name_, "cannot be examined");
  require_word("size of the segment", static_cast<std::uint64_t>(status.st_size), sizeof(vla_rt_shm));
  segment.map();
  const vla_rt_shm& memory = *segment.memory_;
  require_word("magic", __atomic_load_n(&memory.magic, __ATOMIC_ACQUIRE), VLA_RT_SHM_MAGIC);
  require_word("version", vla_rt_shm_load(&memory.version), VLA_RT_SHM_VERSION);
  require_word("size_bytes", vla_rt_shm_load(&memory.size_bytes), sizeof(vla_rt_shm));
  const std::uint64_t n = vla_rt_shm_load(&memory.num_joints);
  if (n < 1 || n > kMaxActionDim)
    throw FormatError("num_joints", std::to_string(n), "must be in 1.." + std::to_string(kMaxActionDim));
  limits = limits_of(memory, static_cast<std::size_t>(n));
  return segment;
}

bool SharedMemorySegment::lock(Side side) const noexcept {
  struct flock lock = record(side, F_WRLCK);
  return fcntl(file_, F_OFD_SETLK, &lock) == 0;
}
void SharedMemorySegment::unlock(Side side) const noexcept {
  struct flock lock = record(side, F_UNLCK);
  fcntl(file_, F_OFD_SETLK, &lock);
}

void SharedMemorySegment::remove() const noexcept {
  struct stat mine{}, named{};
  const int file = shm_open(name_.c_str(), O_RDONLY, 0);
  if (file < 0) return;
  if (fstat(file_, &mine) == 0 && fstat(file, &named) == 0 && mine.st_ino == named.st_ino)
    shm_unlink(name_.c_str());
  close(file);
}

}  // namespace vla_rt::execution
