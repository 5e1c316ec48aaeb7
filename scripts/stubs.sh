#!/usr/bin/env bash
# stubs.sh [--check]: writes python/vla_rt/_core.pyi and _torch.pyi from the built modules, or compares them.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
.venv/bin/python -c 'import torch' 2>/dev/null || { echo "stubs need the torch backend: make test sets it up" >&2; exit 1; }
for module in _core _torch; do
  .venv/bin/python -c "import torch; import sys; from pybind11_stubgen import main; main()" "vla_rt.$module" \
    --output-dir "$out" --root-suffix "" --enum-class-locations '.*:vla_rt' --print-safe-value-reprs '.*' \
    --numpy-array-use-type-var >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
done
.venv/bin/ruff check --quiet --fix --select I,UP --config 'lint.per-file-ignores={}' "$out"/vla_rt/*.pyi || true
.venv/bin/ruff format --quiet --config pyproject.toml "$out"/vla_rt/*.pyi
status=0
for module in _core _torch; do
  if [ "${1:-}" = --check ]; then
    diff -u "python/vla_rt/$module.pyi" "$out/vla_rt/$module.pyi" >&2 || { echo "stale: run 'make stubs'" >&2; status=1; }
  else
    cp "$out/vla_rt/$module.pyi" "python/vla_rt/$module.pyi"
  fi
done
[ $status = 0 ] && echo "stubs: up to date"
exit $status
