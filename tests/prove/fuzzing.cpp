#include "fuzzing.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <vector>

#include "vla_rt/core/time.hpp"

namespace vla_rt::fuzzing {
namespace {

constexpr unsigned kHang = 60;  // seconds that one execution may take, sanitizers and a busy machine included

std::uint64_t now_at = 0, seed = 1;

void collect(Json& value, std::vector<Json*>& places) {
  places.push_back(&value);
  if (value.is_structured())
    for (Json& inner : value) collect(inner, places);
}

/// Sizes between a million and 2^28 are left out: they are allowed, and take a second each.
Json weird(Random& random) {
  static const Json kWeird = Json::parse(R"([
      null, true, -1, 0, 1, 2, 3, 5, 7, 16, 17, 255, 4096, 99999, 268435457, 2147483648, 4294967295,
      9223372036854775807, 9223372036854775808, 18446744073709551615, -9223372036854775807, 1e308, -0.0, 0.5,
      1e-320, "", "x", "\u0000", "../../etc/passwd", "copy", "weight", [], {}, {"a": 1}, [null], [-1, -1, -1],
      [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      ])");
  return kWeird[random.below(kWeird.size())];
}

}  // namespace

std::string text_of(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }

void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

void change_tree(Json& root, Random& random) {
  std::vector<Json*> places;
  collect(root, places);
  Json& here = *places[random.below(places.size())];
  const Json& other = *places[random.below(places.size())];
  switch (random.below(8)) {
    case 0:
      here = weird(random);
      break;
    case 1:
      if (here.is_number_integer())
        here = here.get<std::int64_t>() + static_cast<std::int64_t>(random.below(5)) - 2;
      break;
    case 2:
      if (here.is_structured() && !here.empty())
        here.erase(std::next(here.begin(), static_cast<long>(random.below(here.size()))));
      break;
    case 3:
      if (here.is_array() && !here.empty())
        here.insert(here.begin() + static_cast<long>(random.below(here.size())),
                    Json(here[random.below(here.size())]));
      break;
    case 4:
      if (&here != &root) here = Json(other);
      break;
    case 5:
      if (here.is_object()) here[random.one_in(2) ? "function" : "x"] = weird(random);
      break;
    case 6: {
      Json deep = here;
      for (std::size_t i = random.below(40); i > 0; --i)
        deep = random.one_in(2) ? Json::array({deep}) : Json{{"d", deep}};
      here = deep;
      break;
    }
    case 7:
      if (here.is_number()) {
        for (Json* place : places)  // another number of the same document
          if (place->is_number() && random.one_in(20)) {
            here = Json(*place);
            break;
          }
      } else if (here.is_string()) {
        for (Json* place : places)
          if (place->is_string() && random.one_in(10)) {
            here = Json(*place);
            break;
          }
      }
      break;
  }
}

void change_bytes(std::string& bytes, Random& random) {
  if (bytes.empty()) return;
  const std::size_t at = random.below(bytes.size()),
                    n = random.below(std::min<std::size_t>(64, bytes.size() - at) + 1);
  switch (random.below(4)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
      break;
    case 1:
      bytes.resize(at);
      break;
    case 2:
      bytes.insert(random.below(bytes.size()), bytes.substr(at, n));
      break;
    case 3:
      bytes.replace(at, n, n, static_cast<char>(random()));
      break;
  }
}

int run(int argc, char** argv,
        const std::function<std::unique_ptr<Target>(const std::filesystem::path& folder)>& make) {
  std::uint64_t count = 100'000, from = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    (flag == "--count"  ? count
     : flag == "--seed" ? seed
                        : from) = static_cast<std::uint64_t>(std::strtod(argv[i + 1], nullptr));
  }
  signal(SIGALRM, [](int) {
    std::fprintf(stderr, "fuzzer: execution %llu of seed %llu hangs\n",
                 static_cast<unsigned long long>(now_at), static_cast<unsigned long long>(seed));
    std::abort();
  });
  const std::filesystem::path memory = "/dev/shm";
  const auto folder =
      (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
      ("vla_rt_fuzz_" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  int code = 0;
  double slowest = 0;
  const TimeNs begin = steady_now();
  try {
    const std::unique_ptr<Target> target = make(folder);
    for (std::uint64_t i = from; i < from + count; ++i) {
      now_at = i;
      alarm(kHang);
      const TimeNs start = steady_now();
      Random random(seed, i);
      target->execute(random);
      slowest = std::max(slowest, to_seconds(steady_now() - start));
    }
    alarm(0);
    std::printf("%llu executions in %.0f s (slowest %.3f s): %s\n", static_cast<unsigned long long>(count),
                to_seconds(steady_now() - begin), slowest, target->summary().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzzer: execution %llu of seed %llu: %s\n", static_cast<unsigned long long>(now_at),
                 static_cast<unsigned long long>(seed), error.what());
    code = 1;
  }
  std::filesystem::remove_all(folder);
  return code;
}

}  // namespace vla_rt::fuzzing
