#!/usr/bin/env bash
# fuzz.sh [COUNT] [SEED]: the loader's fuzzer under AddressSanitizer and UndefinedBehaviorSanitizer, and proof that it
# sees what it is there for: loaders with one check taken out are caught.
# PYTHON is an interpreter with the build requirements (default .venv), JOBS the number of compilers.
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-20000} seed=${2:-1}
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
build=build/asan
export ASAN_OPTIONS="detect_leaks=1 allocator_may_return_null=1"
export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1"

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVLA_RT_SANITIZE=address,undefined \
  -DVLA_RT_BUILD_PYTHON=OFF -DVLA_RT_BUILD_TESTS=ON -DPython_EXECUTABLE="$python" >/dev/null
rooms="core action_space tokenization inference sampling package"
# shellcheck disable=SC2046
ninja -C "$build" -j "${JOBS:-2}" $(printf 'vla_rt_%s ' $rooms) | tail -n 1
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
json=$(sed -n 's/^VLA_RT_JSON_INCLUDE:[^=]*=//p' "$build/CMakeCache.txt")
flags=(-std=c++20 -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -Icpp/src -Icpp/include -Itests/cpp -isystem "$json")
objects() { for room in $rooms; do find "$build/CMakeFiles/vla_rt_$room.dir" "$build"/CMakeFiles/*kernels*.dir -name '*.o' 2>/dev/null; done | sort -u; }
mapfile -t all < <(objects)
"$compiler" "${flags[@]}" -c tests/prove/loader_fuzzer.cpp -o "$build/loader_fuzzer.o"
"$compiler" "${flags[@]}" "$build/loader_fuzzer.o" "${all[@]}" -o "$build/loader_fuzzer" -pthread -ldl

status=0
mutant() { # NAME FILE EXPRESSION: the fuzzer must fail when `sed EXPRESSION` has changed FILE
  local source=$build/mutant_$1.cpp
  sed "$3" "$2" >"$source"
  if cmp -s "$2" "$source"; then echo "fuzz: mutant $1 changes nothing"; status=1; return; fi
  "$compiler" "${flags[@]}" -Wno-unused -c "$source" -o "$source.o"
  "$compiler" "${flags[@]}" -Wl,--allow-multiple-definition "$build/loader_fuzzer.o" "$source.o" "${all[@]}" \
    -o "$build/mutant_$1" -pthread -ldl
  if "$build/mutant_$1" --count 20000 --seed "$seed" >"$source.log" 2>&1; then
    cat "$source.log"; echo "fuzz: mutant $1 was not caught"; status=1
  fi
}
mutant view cpp/src/inference/plan.cpp 's/elements > kMaxBufferSize || last >= size/elements > kMaxBufferSize/'
mutant offsets cpp/src/package/safetensors.cpp 's/ends\[1\].integer(begin, available)/ends[1].integer(begin, INT64_C(1) << 40)/'
mutant vector cpp/src/inference/operands.cpp 's/if (operand.elements() != length)/if (length < 0)/'
rm -rf /dev/shm/vla_rt_fuzz_*

"$build/loader_fuzzer" --count "$count" --seed "$seed"
[ $status = 0 ] && echo "fuzz: clean, and every loader with a check taken out was caught"
exit $status
