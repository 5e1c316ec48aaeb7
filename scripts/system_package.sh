#!/usr/bin/env bash
# system_package.sh HEADER|PROGRAM PACKAGE...: installs Debian packages where that is allowed, else says which command
# to run.
set -eu
needed=$1
shift
case $needed in
  *.h) echo "#include <$needed>" | "${CXX:-g++}" -x c++ -std=c++20 -fsyntax-only - 2>/dev/null && exit 0 ;;
  *) command -v "$needed" >/dev/null && exit 0 ;;
esac
install="apt-get install --yes --no-install-recommends $*"
if command -v apt-get >/dev/null; then
  if [ "$(id -u)" = 0 ]; then run=""; elif sudo -n true 2>/dev/null; then run="sudo"; else run=none; fi
  if [ "$run" != none ]; then
    echo "installing $*"
    $run apt-get update -qq >/dev/null && $run env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null && exit 0
  fi
fi
echo "needed: $needed; run: sudo $install" >&2
exit 1
