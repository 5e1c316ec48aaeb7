#include "inference/arena.hpp"

#include <sys/mman.h>

#include <string>
#include <utility>

#include "core/sanitized_memory.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20, kSmallPage = 4096;

constexpr std::size_t kGap = kMemoryIsChecked ? kLine : 0;  // between what was given out

}  // namespace

Arena::Arena(std::size_t bytes) : size_((bytes + kHugePage - 1) / kHugePage * kHugePage) {
  if (size_ == 0) size_ = kHugePage;
  // One huge page more than needed, so that an aligned stretch lies inside; the rest goes back.
  void* found = mmap(nullptr, size_ + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED)
    throw ModelError("memory", std::to_string(size_) + " bytes", "the network's memory could not be had");
  auto* start = static_cast<std::byte*>(found);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(start) % kHugePage) % kHugePage;
  if (before > 0) munmap(start, before);
  if (before < kHugePage) munmap(start + before + size_, kHugePage - before);
  base_ = start + before;
  madvise(base_, size_, MADV_HUGEPAGE);
  // The kernel's pages are zero; one write brings in each.
  for (std::size_t at = 0; at < size_; at += kSmallPage)
    *static_cast<volatile char*>(static_cast<void*>(base_ + at)) = 0;
  close_memory(base_, size_);
}

Arena::~Arena() {
  if (base_ == nullptr) return;
  open_memory(base_, size_);
  munmap(base_, size_);
}

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  std::swap(used_, other.used_);
  return *this;
}

void* Arena::take(std::size_t bytes) {
  std::byte* here = is_counting() ? nullptr : base_ + used_;
  used_ += (bytes + kLine - 1) / kLine * kLine + kGap;
  if (is_counting()) return here;
  if (used_ > size_) throw ModelError("memory", std::to_string(used_) + " bytes", "more than was counted");
  open_memory(here, bytes);
  return here;
}

}  // namespace vla_rt
