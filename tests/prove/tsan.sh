#!/usr/bin/env bash
# tsan.sh: the rooms with threads under ThreadSanitizer, and proof that it sees the mistakes it is there for.
set -euo pipefail
source "$(dirname "$0")/sanitizer.sh"
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 second_deadlock_stack=1 die_after_fork=0"
# ThreadSanitizer's memory layout wants little address randomisation.
fixed() { if command -v setarch >/dev/null; then setarch "$(uname -m)" -R "$@"; else "$@"; fi; }

configure build/tsan thread -DCMAKE_BUILD_TYPE=RelWithDebInfo
rooms=(rt sampling tokenization execution)
compile "${rooms[@]/#/test_}"
for room in "${rooms[@]}"; do fixed "$build/tests/cpp/test_$room"; done

compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
for mutant in 0 1 2 3 4 5 6 7 8 9; do
  program=$build/handover_mutant_$mutant
  "$compiler" -std=c++20 -O1 -g -fsanitize=thread -DMUTANT=$mutant -Icpp/include \
    tests/prove/handover_mutants.cpp cpp/src/core/errors.cpp -o "$program" -pthread
  code=0
  fixed "$program" >"$program.log" 2>&1 || code=$?
  if [ $mutant = 0 ] && [ $code != 0 ]; then
    cat "$program.log"; echo "tsan: a report for the code as it ships"; status=1
  elif [ $mutant = 9 ] && [ $code = 67 ]; then  # no race, all its accesses are atomic, but values of two writes
    continue
  elif [ $mutant != 0 ] && { [ $code != 66 ] || ! grep -q "data race" "$program.log"; }; then
    cat "$program.log"; echo "tsan: mutant $mutant was not caught"; status=1
  fi
done
[ $status = 0 ] && echo "tsan: clean, and all 9 broken variants were caught"
exit $status
