#include "vla_rt/inference/instruction_set.hpp"

#include <cstdlib>
#include <string>

#include "inference/kernels.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr const char* kVariable = "VLA_RT_INSTRUCTION_SET";
constexpr InstructionSet kSets[] = {InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512,
                                    InstructionSet::Avx512Bf16};

bool processor_has(InstructionSet set) noexcept {
#if defined(__x86_64__)
  switch (set) {  // these also ask whether the operating system saves the registers
    case InstructionSet::Portable:
      return true;
    case InstructionSet::Avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case InstructionSet::Avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    case InstructionSet::Avx512Bf16:
      return processor_has(InstructionSet::Avx512) && __builtin_cpu_supports("avx512bf16") &&
             __builtin_cpu_supports("avx512vnni");
  }
#endif
  return set == InstructionSet::Portable;
}

}  // namespace

const char* to_string(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::Portable:
      return "portable";
    case InstructionSet::Avx2:
      return "avx2";
    case InstructionSet::Avx512:
      return "avx512";
    case InstructionSet::Avx512Bf16:
      return "avx512_bf16";
  }
  return "?";
}

InstructionSet best_instruction_set() noexcept {
  InstructionSet best = InstructionSet::Portable;
  for (const InstructionSet set : kSets)
    if (processor_has(set) && kernels(set) != nullptr) best = set;
  return best;
}

InstructionSet instruction_set() {
  const InstructionSet best = best_instruction_set();
  const char* wanted = std::getenv(kVariable);  // NOLINT(concurrency-mt-unsafe): nobody here sets it
  if (wanted == nullptr || *wanted == '\0') return best;
  for (const InstructionSet set : kSets)
    if (wanted == std::string(to_string(set))) {
      if (set <= best) return set;
      throw ConfigError(kVariable, wanted,
                        "this processor and build have at most " + std::string(to_string(best)));
    }
  throw ConfigError(kVariable, wanted, "must be portable, avx2, avx512 or avx512_bf16");
}

}  // namespace vla_rt
