#include "vla_rt/execution/flight_follower.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "execution/flight_format.hpp"
#include "execution/flight_rerun.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

using execution::FrameHead;
using execution::FrameType;

namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::size_t kMaxWaiting = 4 * FlightFollower::kMaxTicks;  // ticks

}  // namespace

struct FlightFollower::Impl {
  const std::string path;
  int file = -1;
  off_t at = 0;  // end of the last whole frame that was taken
  std::vector<char> bytes;
  std::optional<FlightSetup> setup;
  std::optional<execution::FlightRerun> rerun;
  execution::FlightEvents events;
  execution::FlightRerun::Chunks chunks;       // all there were; null where they are no longer needed
  std::size_t forgotten = 0, handed_over = 0;  // of them

  // Taken from the file, not yet handed out.
  std::deque<FlightTick> ticks;
  std::map<std::uint64_t, EnforcerSnapshot> snapshots;  // by tick
  std::deque<FlightPicture> pictures;

  explicit Impl(std::string path_in) : path(std::move(path_in)) {}
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void close() noexcept {
    if (file >= 0) ::close(file);
    file = -1;
    at = 0;
  }

  // Whether the path leads to another file by now: this one was rotated out and is whole.
  [[nodiscard]] bool was_rotated() const noexcept {
    struct stat here{}, there{};
    return fstat(file, &here) == 0 && stat(path.c_str(), &there) == 0 && here.st_ino != there.st_ino;
  }

  // Takes whole frames from the file; false when none was new.
  bool take() {
    if (file < 0) file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool rotated = was_rotated();  // before reading: what is then there is all of it
    std::size_t room = kReadBytes;
    FrameHead head;
    for (;;) {
      bytes.resize(room);
      const ssize_t n = pread(file, bytes.data(), bytes.size(), at);
      if (n <= 0) break;
      const std::size_t taken = take({bytes.data(), static_cast<std::size_t>(n)});
      at += static_cast<off_t>(taken);
      if (taken > 0) return true;
      if (static_cast<std::size_t>(n) < room || room > execution::kMaxPayload) break;
      room = execution::kMaxPayload + sizeof head;
    }
    if (!rotated) return false;
    close();
    return take();
  }

  // Returns how many bytes were whole frames.
  std::size_t take(std::span<const char> from) {
    std::size_t done = 0;
    if (at == 0) {
      const std::string_view magic = execution::kFileMagic;
      const std::size_t known = std::min(from.size(), magic.size());
      if (std::memcmp(from.data(), magic.data(), known) != 0)
        throw FormatError("recording", "", "is not one: it does not begin with " + std::string(magic));
      if (known < magic.size()) return 0;
      done = magic.size();
    }
    FrameHead head;
    bool first = at == 0;
    while (const auto payload = execution::whole_frame(from.subspan(done), head)) {
      if (first && head.type != FrameType::Setup) throw FormatError("set-up", "", "is missing");
      if (!take(head.type, *payload)) return done;
      first = false;
      done += sizeof head + head.length;
    }
    return first ? 0 : done;
  }

  bool take(FrameType type, std::span<const char> payload) {
    if (type == FrameType::Setup) {
      FlightSetup read = execution::parse_setup(payload);
      if (rerun) return true;  // the next part of the same run
      setup = std::move(read);
      rerun.emplace(*setup, chunks, &events);
      return true;
    }
    if (type == FrameType::Tick) {
      FlightTick tick;
      if (!execution::parse(payload, *setup, tick)) return false;
      ticks.push_back(tick);
      return true;
    }
    if (type == FrameType::Chunk) {
      auto chunk = std::make_unique<FlightChunk>();
      if (!execution::parse(payload, *setup, *chunk)) return false;
      chunks.push_back(std::move(chunk));
      return true;
    }
    if (type == FrameType::Picture) {
      FlightPicture picture;
      if (!execution::parse(payload, picture)) return false;
      pictures.push_back(std::move(picture));
      return true;
    }
    FlightSnapshot snapshot;
    if (type != FrameType::Snapshot || !execution::parse(payload, snapshot)) return false;
    snapshots[snapshot.tick] = snapshot.enforcer;
    return true;
  }

  void hand_out(FlightPart& part, TimeNs until, bool is_over) {
    while (!ticks.empty() && ticks.front().head.time_ns <= until && part.ticks.size() < kMaxTicks) {
      const std::uint64_t number = ticks.front().head.tick;
      const auto snapshot = snapshots.find(number);
      (void)rerun->tick(ticks.front(), snapshot == snapshots.end() ? nullptr : &snapshot->second);
      snapshots.erase(snapshots.begin(), snapshots.upper_bound(number));
      part.ticks.push_back(ticks.front());
      ticks.pop_front();
    }
    const bool is_end = is_over && ticks.empty();
    const TimeNs now = part.ticks.empty() ? INT64_MIN : part.ticks.back().head.time_ns;
    while (handed_over < chunks.size() && (is_end || chunks[handed_over]->time_ns <= now))
      part.chunks.push_back(chunks[handed_over++].get());
    while (!pictures.empty() && (is_end || pictures.front().time_ns <= now)) {
      part.pictures.push_back(std::move(pictures.front()));
      pictures.pop_front();
    }
    part.seams = std::exchange(events.seams, {});
    part.violations = std::exchange(events.violations, {});
  }

  void forget() noexcept {
    const std::size_t used =
        setup->has_tool_actions ? handed_over : std::min(handed_over, rerun->next_chunk());
    for (; forgotten + execution::FlightRerun::kRemembered < used; ++forgotten) chunks[forgotten].reset();
  }
};

FlightFollower::FlightFollower(std::string path) : impl_(std::make_unique<Impl>(std::move(path))) {}
FlightFollower::~FlightFollower() = default;

const FlightSetup* FlightFollower::setup() const noexcept { return impl_->setup ? &*impl_->setup : nullptr; }

bool FlightFollower::read(FlightPart& part, bool is_over) {
  Impl& f = *impl_;
  part = {};
  if (f.setup) f.forget();
  const bool has_more = f.ticks.size() >= kMaxWaiting || f.take();
  if (!f.setup) return false;
  const bool is_all = is_over && !has_more;
  const TimeNs newest = f.ticks.empty() ? 0 : f.ticks.back().head.time_ns;
  f.hand_out(part, is_all ? INT64_MAX : newest - kSettleNs, is_all);
  return has_more || (is_all ? !f.ticks.empty() : part.ticks.size() == kMaxTicks);
}

}  // namespace vla_rt
