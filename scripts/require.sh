#!/usr/bin/env bash
# require.sh PYTHON: says in one line what is missing before anything is built.
set -eu
python=$1
command -v "$python" >/dev/null || { echo "vla_rt needs Python 3.10 or newer: '$python' not found (set PYTHON=...)" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  { echo "vla_rt needs Python 3.10 or newer, '$python' is $("$python" -V) (set PYTHON=...)" >&2; exit 1; }
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  { echo "this Python cannot make virtual environments; run: sudo apt-get install python3-venv" >&2; exit 1; }
command -v "${CXX:-g++}" >/dev/null || { echo "no C++ compiler; run: sudo apt-get install g++" >&2; exit 1; }
header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
[ -f "$header" ] || { echo "no Python headers ($header); run: sudo apt-get install python3-dev" >&2; exit 1; }
