#include "vla_rt/execution/flight_recording.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "execution/flight_format.hpp"
#include "execution/flight_rerun.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {

using execution::FrameHead;
using execution::FrameType;

struct FlightRecording::Impl {
  std::vector<char> bytes;
  FlightSetup setup;
  std::size_t whole = 0;           // bytes up to the end of the last whole record
  std::vector<std::size_t> ticks;  // where their payloads begin
  std::map<std::uint64_t, std::span<const char>> snapshots;
  std::vector<std::unique_ptr<FlightChunk>> chunks;
  std::uint64_t pictures = 0;

  [[nodiscard]] std::optional<std::span<const char>> frame(std::size_t at, FrameHead& head) const {
    return execution::whole_frame(std::span(bytes).subspan(at), head);
  }

  void index() {
    FrameHead head;
    if (bytes.size() < execution::kFileMagic.size() ||
        std::memcmp(bytes.data(), execution::kFileMagic.data(), execution::kFileMagic.size()) != 0)
      throw FormatError("recording", "",
                        "is not one: it does not begin with " + std::string(execution::kFileMagic));
    std::size_t at = execution::kFileMagic.size();
    const auto first = frame(at, head);
    if (!first || head.type != FrameType::Setup) throw FormatError("set-up", "", "is missing or damaged");
    setup = execution::parse_setup(*first);
    at += sizeof head + head.length;
    FlightTick tick;
    for (; const auto payload = frame(at, head); at += sizeof head + head.length)
      if (!take(head.type, *payload, tick)) break;
    whole = at;
  }

  bool take(FrameType type, std::span<const char> payload, FlightTick& tick) {
    switch (type) {
      case FrameType::Tick:
        if (!execution::parse(payload, setup, tick)) return false;
        ticks.push_back(static_cast<std::size_t>(payload.data() - bytes.data()));
        return true;
      case FrameType::Chunk: {
        auto chunk = std::make_unique<FlightChunk>();
        if (!execution::parse(payload, setup, *chunk)) return false;
        chunks.push_back(std::move(chunk));
        return true;
      }
      case FrameType::Snapshot: {
        FlightSnapshot snapshot;
        if (!execution::parse(payload, snapshot)) return false;
        snapshots[snapshot.tick] = payload;
        return true;
      }
      case FrameType::Picture: {
        FlightPicture picture;
        if (!execution::parse(payload, picture)) return false;
        ++pictures;
        return true;
      }
      case FrameType::Setup:
        break;
    }
    return false;
  }

  void read_tick(std::size_t k, FlightTick& tick) const {
    const std::size_t n =
        sizeof tick.head + kNumFlightSignals * static_cast<std::size_t>(setup.limits.num_joints) * 8;
    (void)execution::parse(std::span(bytes).subspan(ticks[k], n), setup,
                           tick);  // was whole when it was indexed
  }
};

FlightRecording::FlightRecording(const std::string& path) : impl_(std::make_unique<Impl>()) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw ConfigError("recording", path, std::string("cannot be read: ") + std::strerror(errno));
  const auto size = file.tellg();
  if (size < 0) throw ConfigError("recording", path, "cannot be read");
  impl_->bytes.resize(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(impl_->bytes.data(), size)) throw ConfigError("recording", path, "cannot be read");
  impl_->index();
}
FlightRecording::~FlightRecording() = default;

const FlightSetup& FlightRecording::setup() const noexcept { return impl_->setup; }
std::uint64_t FlightRecording::num_ticks() const noexcept { return impl_->ticks.size(); }
std::uint64_t FlightRecording::num_pictures() const noexcept { return impl_->pictures; }
std::uint64_t FlightRecording::cut_bytes() const noexcept { return impl_->bytes.size() - impl_->whole; }
const std::vector<std::unique_ptr<FlightChunk>>& FlightRecording::chunks() const noexcept {
  return impl_->chunks;
}

void FlightRecording::for_each_tick(const std::function<bool(const FlightTick&)>& visit) const {
  FlightTick tick;
  for (std::size_t k = 0; k < impl_->ticks.size(); ++k) {
    impl_->read_tick(k, tick);
    if (!visit(tick)) return;
  }
}

FlightReplay FlightRecording::replay() const {
  execution::FlightRerun rerun(impl_->setup, impl_->chunks);
  FlightSnapshot snapshot;
  for_each_tick([&](const FlightTick& tick) {
    const auto found = impl_->snapshots.find(tick.head.tick);
    const bool has = found != impl_->snapshots.end() && execution::parse(found->second, snapshot);
    return rerun.tick(tick, has ? &snapshot.enforcer : nullptr);
  });
  return rerun.result();
}

}  // namespace vla_rt
