#!/usr/bin/env bash
# rtsan.sh: the tests of everything that ticks under RealtimeSanitizer, which ends the program at an allocation, a
# lock or a blocking call below a function that is VLA_RT_NONBLOCKING; and proof that it sees them: one by one in a
# robot's read, and planted in the tick's own code.
set -euo pipefail
source "$(dirname "$0")/sanitizer.sh"
export RTSAN_OPTIONS="halt_on_error=1 exitcode=43"
configure_with_clang build/rtsan realtime
compile test_tick tick_offences
"$build/tests/prove/test_tick"

caught() { # WHAT PROGRAM [ARGUMENTS]: it must be ended by the sanitizer
  local code=0
  "${@:2}" >"$build/offence.log" 2>&1 || code=$?
  [ $code = 43 ] && grep -q "ERROR: RealtimeSanitizer: unsafe-library-call" "$build/offence.log" && return
  cat "$build/offence.log"; echo "rtsan: $1 was not caught"; status=1
}
"$build/tests/prove/tick_offences" none
for offence in allocation release lock system_call file print sleep; do
  caught $offence "$build/tests/prove/tick_offences" $offence
done

loop=tests/prove/CMakeFiles/tick_offences.dir/tick_offences.cpp.o
caught "an allocation in the enforcer" "$(mutant enforcer cpp/src/constraints/constraint_enforcer.cpp \
  's/  return impl_->apply(target/  ::operator delete(::operator new(8));\n&/' "" $loop)" none
caught "a lock in the executor" "$(mutant executor cpp/src/execution/chunk_executor.cpp \
  's/  e.queries.add(1);/  static std::mutex other; const std::lock_guard held(other);\n&/' "" $loop)" none
engine="tests/prove/CMakeFiles/test_tick.dir/__/cpp/inference/native_model_test.cpp.o
  tests/cpp/CMakeFiles/vla_rt_test_main.dir/*.o tests/cpp/CMakeFiles/vla_rt_test_main.dir/*/*.o"
caught "a system call in the native engine" "$(mutant engine cpp/src/inference/native_model.cpp \
  's/  const FlushDenormals flush;/  syscall(110);\n&/; 1i #include <unistd.h>' "" $engine)"
[ $status = 0 ] && echo "rtsan: clean, and every planted offence was caught"
exit $status
