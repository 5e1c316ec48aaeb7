// The long campaign (one tick in 50 of it among walls and obstacles): adversary [joint_ticks=1e9]
// [threads=hardware] [seed=1]. Exits 1 on any violation.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "constraints/enforcer_adversary.hpp"
#include "constraints/filter_adversary.hpp"
#include "constraints/search_adversary.hpp"
#include "constraints/surroundings_adversary.hpp"

int main(int argc, char** argv) {
  using namespace vla_rt::adversary;
  const double wanted = argc > 1 ? std::atof(argv[1]) : 1e9;
  const unsigned threads =
      argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : std::thread::hardware_concurrency();
  const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  if (!(wanted >= 1) || threads < 1 || threads > 1024) {
    std::fprintf(stderr, "usage: adversary [joint_ticks >= 1] [threads 1..1024] [seed]\n");
    return 2;
  }

  struct Attack {
    const char* name;
    Tally (*run)(std::uint64_t, std::int64_t);
    double share;
  };
  const Attack attacks[] = {{"jerk wishes", attack_filter, 0.4},
                            {"targets", attack_enforcer, 0.4},
                            {"search", attack_by_search, 0.2},
                            {"surroundings", attack_surroundings, 0.02}};
  Tally total;
  const auto begin = std::chrono::steady_clock::now();
  for (const Attack& attack : attacks) {
    const auto quota = static_cast<std::int64_t>(wanted * attack.share / threads) + 1;
    std::vector<Tally> tallies(threads);
    std::vector<std::thread> workers;
    for (unsigned k = 0; k < threads; ++k)
      workers.emplace_back([&, k] { tallies[k] = attack.run(seed * 1000003 + k, quota); });
    for (std::thread& worker : workers) worker.join();
    Tally sum;
    for (const Tally& tally : tallies) sum.add(tally);
    std::printf(
        "%-12s %14lld joint-ticks  %lld violations  worst v %.9f a %.9f j %.9f  nearest %.3g  altered "
        "%.1f %%\n",
        attack.name, static_cast<long long>(sum.joint_ticks), static_cast<long long>(sum.violations),
        sum.worst[0], sum.worst[1], sum.worst[2], sum.worst_position,
        100.0 * static_cast<double>(sum.altered) / static_cast<double>(sum.joint_ticks));
    std::fflush(stdout);
    total.add(sum);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("total: %lld violations in %lld joint-ticks, seed %llu, %u threads, %.0f s\n",
              static_cast<long long>(total.violations), static_cast<long long>(total.joint_ticks),
              static_cast<unsigned long long>(seed), threads, seconds);
  return total.violations == 0 ? 0 : 1;
}
