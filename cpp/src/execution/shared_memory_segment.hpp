#pragma once
#include <string>

#include "vla_rt/constraints/joint_limits.hpp"
#include "vla_rt/execution/shared_memory.h"

namespace vla_rt::execution {

// A mapped segment. Byte 0 of it is locked by the driver, byte 1 by the controller; the kernel takes a lock
// back when its holder dies.
class SharedMemorySegment {
 public:
  enum class Side { Driver = 0, Controller = 1 };

  SharedMemorySegment() = default;
  ~SharedMemorySegment();
  SharedMemorySegment(SharedMemorySegment&& other) noexcept;
  SharedMemorySegment& operator=(SharedMemorySegment&& other) noexcept;

  // As SharedMemoryDriver and SharedMemoryRobot say.
  static SharedMemorySegment make(const std::string& name, const JointLimits& limits);
  static SharedMemorySegment open(const std::string& name, JointLimits& limits);

  // False when another process, or another object of this one, holds it.
  [[nodiscard]] bool lock(Side side) const noexcept;
  void unlock(Side side) const noexcept;
  // Removes the name unless another segment has it by now.
  void remove() const noexcept;

  [[nodiscard]] vla_rt_shm* operator->() const noexcept { return memory_; }
  [[nodiscard]] vla_rt_shm* get() const noexcept { return memory_; }

 private:
  void map();

  std::string name_;
  int file_ = -1;
  vla_rt_shm* memory_ = nullptr;
};

}  // namespace vla_rt::execution
