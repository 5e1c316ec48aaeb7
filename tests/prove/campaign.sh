#!/usr/bin/env bash
# campaign.sh: the adversary of the joint limits notices an enforcer that takes its velocity for a thousandth more.
# It uses the build of the tests.
set -euo pipefail
source "$(dirname "$0")/sanitizer.sh"
build=build/editable sanitizers=
spoiled=$(mutant campaign cpp/src/constraints/limits_in_force.cpp \
  's/bounds_\[i\] = asked_\[i\] = bounds_of(limits, i);/{ & bounds_[i].V *= 1.001; bounds_[i].inner_V *= 1.001; }/' \
  "" tests/cpp/CMakeFiles/adversary.dir/constraints/adversary.cpp.o)
if "$spoiled" 1e6 >"$build/campaign.log"; then
  cat "$build/campaign.log"; echo "campaign: a limit exceeded by a thousandth was not noticed"; exit 1
fi
grep "violations in" "$build/campaign.log"
echo "campaign: noticed"
