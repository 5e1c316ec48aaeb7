#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "vla_rt/tokenization/fast_tokenizer.hpp"

using namespace vla_rt;

TEST_CASE("one FAST tokenizer serves two threads of different horizons at once") {
  std::string vocab;
  for (char c = 'A'; c <= 'z'; ++c) {
    const std::string token = c == '\\' ? "\\\\" : std::string(1, c);
    vocab += (vocab.empty() ? "\"" : ", \"") + token + "\": " + std::to_string(c - 'A');
  }
  FastTokenizer::Config config;
  config.scale = 4;
  config.min_token = -'Z';
  const FastTokenizer tokenizer(
      BytePairEncoder::from_json(R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
        "model": {"type": "BPE", "vocab": {)" +
                                 vocab + R"(}, "merges": []}})"),
      config);
  std::array<std::thread, 2> threads;
  std::array<int, 2> equal{};
  for (std::size_t i = 0; i < 2; ++i)
    threads[i] = std::thread([&, i] {
      const int horizon = i == 0 ? 8 : 16;  // the basis of the last horizon is shared
      std::vector<double> chunk(static_cast<std::size_t>(horizon) * 2), back(chunk.size());
      for (int repetition = 0; repetition < 200; ++repetition) {
        for (std::size_t k = 0; k < chunk.size(); ++k)
          chunk[k] = 0.4 * std::sin(static_cast<double>(k) * 0.3 + repetition);
        const std::vector<std::int32_t> ids = tokenizer.encode(chunk, horizon);
        tokenizer.decode(std::vector<std::int64_t>(ids.begin(), ids.end()), horizon, 2, true, back);
        double worst = 0;
        for (std::size_t k = 0; k < chunk.size(); ++k) worst = std::max(worst, std::abs(chunk[k] - back[k]));
        equal[i] += worst < 0.5 ? 1 : 0;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(equal == std::array{200, 200});
}
