#!/usr/bin/env bash
# asan.sh: all C++ tests under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, and proof that an over-read
# is seen: a reader of recordings that trusts the length it is told.
set -euo pipefail
source "$(dirname "$0")/sanitizer.sh"
export ASAN_OPTIONS="detect_leaks=1 check_initialization_order=1"
export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1"

configure build/asan address,undefined -DCMAKE_BUILD_TYPE=RelWithDebInfo
compile
tests() { ctest --test-dir "$build" --output-on-failure --timeout 900 "$@"; }
ASAN_OPTIONS="$ASAN_OPTIONS detect_stack_use_after_return=1" tests --exclude-regex '^inference$'
# gcc 12 puts frames that want 64 bytes of alignment, as AVX-512 does, misaligned on its stack for that check (GCC bug 110027).
ASAN_OPTIONS="$ASAN_OPTIONS detect_stack_use_after_return=0" tests --tests-regex '^inference$'

main="tests/cpp/CMakeFiles/vla_rt_test_main.dir/*.o tests/cpp/CMakeFiles/vla_rt_test_main.dir/*/*.o"
spoiled=$(mutant overread cpp/src/execution/flight_format.cpp 's/ || bytes.size() - sizeof head < head.length//' \
  "" tests/cpp/CMakeFiles/test_execution.dir/execution/flight_recorder_test.cpp.o "$main")
if "$spoiled" >"$spoiled.log" 2>&1 || ! grep -q "ERROR: AddressSanitizer" "$spoiled.log"; then
  cat "$spoiled.log"; echo "asan: a planted over-read was not caught"; exit 1
fi
echo "asan: clean, and a planted over-read was caught"
