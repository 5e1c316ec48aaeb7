#!/usr/bin/env bash
# system_package.sh HEADER PACKAGE: installs a Debian package where that is allowed, else says which command to run.
set -eu
header=$1 package=$2
echo "#include <$header>" | "${CXX:-g++}" -x c++ -std=c++20 -fsyntax-only - 2>/dev/null && exit 0
install="apt-get install --yes --no-install-recommends $package"
if command -v apt-get >/dev/null; then
  if [ "$(id -u)" = 0 ]; then run=""; elif sudo -n true 2>/dev/null; then run="sudo"; else run=none; fi
  if [ "$run" != none ]; then
    echo "installing $package"
    $run apt-get update -qq >/dev/null && $run env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null && exit 0
  fi
fi
echo "the tests need <$header>; run: sudo $install" >&2
exit 1
