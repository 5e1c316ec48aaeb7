#pragma once
// What every fuzzer shares: chance that repeats itself, ways to spoil text and trees, the loop.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "package/json_field.hpp"

namespace vla_rt::fuzzing {

class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t index) : state_(seed * 0x9E3779B97F4A7C15 + index) { (*this)(); }
  std::uint64_t operator()() {  // splitmix64
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>((*this)() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

[[nodiscard]] std::string text_of(const Json& value);
void write_file(const std::filesystem::path& file, const std::string& bytes);

/// One change of a document: a number, shape, name, order or depth.
void change_tree(Json& root, Random& random);
/// One change of bytes: flipped, cut, doubled, blotted out.
void change_bytes(std::string& bytes, Random& random);

/// One thing to fuzz. Throws, from `execute`, what the code under test must not.
class Target {
 public:
  virtual ~Target() = default;
  /// One execution, which depends on `random` alone.
  virtual void execute(Random& random) = 0;
  /// What came of the executions, for the last line: "12 loaded, 3 refused".
  [[nodiscard]] virtual std::string summary() const = 0;
};

/// `NAME_fuzzer [--count N] [--seed S] [--from I]`: N executions of a target, made with a folder of its own.
/// Execution i depends on (S, i) alone, so that `--from I --count 1` repeats one. Returns 1, naming the
/// execution, when one throws; sanitizers and an alarm end the program for the rest.
int run(int argc, char** argv,
        const std::function<std::unique_ptr<Target>(const std::filesystem::path& folder)>& make);

}  // namespace vla_rt::fuzzing
