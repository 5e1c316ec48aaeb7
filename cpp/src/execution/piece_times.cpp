#include "execution/piece_times.hpp"

#include <time.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "execution/inference_schedule.hpp"
#include "vla_rt/execution/flight_record.hpp"

namespace vla_rt::execution {
namespace {

constexpr int kWarmUp = 4, kMost = 64, kLeast = 12;  // chunks
constexpr TimeNs kLongEnough = 500'000'000;
constexpr std::size_t kCache = std::size_t{4} << 20, kLine = 64;
constexpr std::uint64_t kNoise = ~std::uint64_t{0};  // a seed of its own

TimeNs processor_time() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * kNsPerSecond + t.tv_nsec;
}

}  // namespace

PieceTimes measure_pieces(ChunkSampler& sampler, const ChunkExecutorConfig& config,
                          TimeNs (*clock)() noexcept) {
  std::vector<unsigned char> other(clock == nullptr ? kCache : 0);
  const auto disturb = [&] {
    for (std::size_t i = 0; i < other.size(); i += kLine) {
      volatile unsigned char& byte = other[i];
      byte = static_cast<unsigned char>(byte + 1);
    }
  };
  const auto now = clock == nullptr ? &processor_time : clock;
  PieceTimes times;
  bool counts = false;
  const auto timed = [&](Piece piece, const auto& work) {
    disturb();
    const TimeNs begin = now();
    work();
    const TimeNs took = now() - begin;
    TimeNs& longest = times.longest[static_cast<std::size_t>(piece)];
    if (counts) longest = std::max(longest, took);
  };

  const PolicySpec& spec = sampler.spec();
  ChunkExecutor executor(config);
  InferenceSchedule schedule(spec.period_s);
  const auto made = std::make_unique<FlightChunk>(), recorded = std::make_unique<FlightChunk>();
  ActionChunk* const chunk = &made->chunk;
  JointArray position{}, velocity{};
  TimeNs time = 0;
  const TimeNs begun = steady_now();
  for (int i = 0; i < kWarmUp + kMost; ++i) {
    counts = i >= kWarmUp;
    if (i >= kWarmUp + kLeast && steady_now() - begun > kLongEnough) break;
    timed(Piece::Encode, [&] {
      for (std::size_t f = 0; f < spec.observation.size(); ++f) {
        // Any number serves: the work does not depend on it.
        static constexpr std::array<float, 4096> kZeros{};
        const auto n = static_cast<std::size_t>(spec.observation[f].tensor.num_elements());
        if (n <= kZeros.size()) (void)sampler.set_feature(f, std::span(kZeros).first(n));
      }
      sampler.begin({kNoise, static_cast<std::uint64_t>(i)});
      sampler.advance();
    });
    while (sampler.next() != ChunkSampler::Piece::Done) timed(Piece::Step, [&] { sampler.advance(); });
    executor.at(time, position, velocity);
    timed(Piece::HandOver, [&] {
      if (!sampler.write(*chunk)) {  // an untrained network may answer anything
        chunk->horizon = spec.chunk_rows();
        chunk->action_dim = spec.action_dim;
        chunk->period_ns = from_seconds(spec.period_s);
        std::fill_n(chunk->values.begin(), spec.chunk_rows() * spec.action_dim, 0.0);
      }
      chunk->start_time_ns = time;
      made->result = executor.try_push(*chunk, &made->planned);
      *recorded = *made;  // what a recorder's ring takes
      schedule.add(chunk->period_ns, 1);
      (void)schedule.next_observation(executor.due(), executor.plan_end());
    });
    time = std::max(time + 1, executor.due());
    times.samples += counts;
  }
  return times;
}

}  // namespace vla_rt::execution
