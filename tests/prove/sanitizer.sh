# sanitizer.sh, sourced: a build of its own under sanitizers, and programs of it with one mistake planted.
# PYTHON is an interpreter with the build requirements (default .venv), JOBS the number of compilers,
# CLANG a clang of version 20 or newer.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
PATH=$(dirname "$python"):$PATH
status=0

configure() { # FOLDER SANITIZERS [OPTIONS]
  build=$1 sanitizers=$2
  cmake -S . -B "$build" -G Ninja -DVLA_RT_SANITIZE="$sanitizers" -DVLA_RT_BUILD_PYTHON=OFF -DVLA_RT_BUILD_TESTS=ON \
    -DPython_EXECUTABLE="$python" "${@:3}" >/dev/null
}

# RealtimeSanitizer is clang's alone; -O1 is compiled twice as fast as gcc's -O2.
configure_with_clang() { # FOLDER SANITIZERS [OPTIONS]
  local clang=${CLANG:-clang++-22}
  scripts/system_package.sh "$clang" clang-22 libclang-rt-22-dev
  # llvm-symbolizer is in a package of its own; addr2line is there with every compiler.
  export RTSAN_OPTIONS="${RTSAN_OPTIONS:-} external_symbolizer_path=$(command -v addr2line)"
  grep -qs "^CMAKE_CXX_COMPILER:.*$clang$" "$1/CMakeCache.txt" || rm -rf "$1" # of another compiler
  configure "$@" -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1
}

compile() { ninja -C "$build" -j "${JOBS:-2}" "$@" | tail -n 1; }

# Prints the path of a program of MAIN's objects (patterns below the build) and the code of all rooms, in which `sed
# EXPRESSION` has changed FILE.
mutant() { # NAME FILE EXPRESSION LINK_FLAG MAIN...
  local object command compiler others=() name=mutant_$1 source=$PWD/$build/mutant_$1.cpp
  sed "$3" "$2" >"$source"
  if cmp -s "$2" "$source"; then echo "mutant $1 changes nothing" >&2; return 1; fi
  compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
  (
    cd "$build"
    object=$(find CMakeFiles/vla_rt_*.dir -path "*/$2.o")
    mapfile -t others < <(find CMakeFiles/vla_rt_*.dir -path '*/cpp/src/*.o' ! -path '*/backends/*' ! -path "$object")
    command=$(ninja -t commands "$object" | tail -n 1)
    ${command%% -MD *} -w -c "$source" -o "$name.o"
    # shellcheck disable=SC2068
    "$compiler" ${sanitizers:+-fsanitize=$sanitizers} $4 ${@:5} "$name.o" "${others[@]}" -o "$name" -pthread -ldl
  ) >&2 && echo "$build/$name"
}
