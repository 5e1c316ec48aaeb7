#!/usr/bin/env bash
# fuzz.sh [COUNT] [SEED]: the fuzzers under AddressSanitizer and UndefinedBehaviorSanitizer, and proof that each sees
# what it is there for: code with one check taken out is caught.
# PYTHON is an interpreter with the build requirements (default .venv), JOBS the number of compilers.
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-20000} seed=${2:-1}
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
build=build/asan
export ASAN_OPTIONS="detect_leaks=1 allocator_may_return_null=1"
export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1"
export VLA_RT_INSTRUCTION_SET=portable  # gcc checks no masked load of AVX-512

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVLA_RT_SANITIZE=address,undefined \
  -DVLA_RT_BUILD_PYTHON=OFF -DVLA_RT_BUILD_TESTS=ON -DPython_EXECUTABLE="$python" >/dev/null
rooms="core action_space tokenization inference sampling package"
# shellcheck disable=SC2046
ninja -C "$build" -j "${JOBS:-2}" $(printf 'vla_rt_%s ' $rooms) | tail -n 1
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
json=$(sed -n 's/^VLA_RT_JSON_INCLUDE:[^=]*=//p' "$build/CMakeCache.txt")
flags=(-std=c++20 -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -Icpp/src -Icpp/include -Itests/cpp
  -isystem "$json")
mapfile -t library < <(for room in $rooms; do find "$build/CMakeFiles/vla_rt_$room.dir" -name '*.o'; done)
compile() { "$compiler" "${flags[@]}" -Wno-unused -c "$1" -o "$2"; } # SOURCE OBJECT
link() { "$compiler" "${flags[@]}" -Wl,--allow-multiple-definition "${@:2}" "${library[@]}" -o "$1" -pthread -ldl; }

status=0
target() { # NAME: NAME_fuzzer.cpp, run; the mutants that follow are of this target
  now=$1
  compile "tests/prove/$1_fuzzer.cpp" "$build/$1_fuzzer.o"
  link "$build/$1_fuzzer" "$build/$1_fuzzer.o" "$build/fuzzing.o"
  echo "fuzz: $1"
  "$build/$1_fuzzer" --count "$count" --seed "$seed"
}
mutant() { # NAME FILE EXPRESSION: the target must fail when `sed EXPRESSION` has changed FILE
  local program=$build/${now}_mutant_$1
  sed "$3" "$2" >"$program.cpp"
  if cmp -s "$2" "$program.cpp"; then echo "fuzz: mutant $1 changes nothing"; status=1; return; fi
  compile "$program.cpp" "$program.o"
  link "$program" "$program.o" "$build/${now}_fuzzer.o" "$build/fuzzing.o"
  if "$program" --count 20000 --seed "$seed" >"$program.log" 2>&1; then
    cat "$program.log"; echo "fuzz: mutant $1 was not caught"; status=1
  fi
}

compile tests/prove/fuzzing.cpp "$build/fuzzing.o"

target loader
mutant view cpp/src/inference/plan.cpp 's/elements > kMaxBufferSize || last >= size/elements > kMaxBufferSize/'
mutant offsets cpp/src/package/safetensors.cpp 's/ends\[1\].integer(begin, available)/ends[1].integer(begin, INT64_C(1) << 40)/'
mutant vector cpp/src/inference/operands.cpp 's/if (operand.elements() != length)/if (length < 0)/'

rm -rf /dev/shm/vla_rt_fuzz_*  # of the mutants, which end as they are caught
[ $status = 0 ] && echo "fuzz: clean, and everything with a check taken out was caught"
exit $status
