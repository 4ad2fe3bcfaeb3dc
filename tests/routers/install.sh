#!/usr/bin/env bash
# Installs the routers of tests/routers into virtual environments in the cache folder.
#
#   tests/routers/install.sh [ENVIRONMENT...]
#
# The environments are routers, litellm, and nginx, which is a package of Debian; by default all.
# The cache folder is $PENSTOCK_CACHE or ${XDG_CACHE_HOME:-~/.cache}/penstock.
# What is there already and still fits is kept; $PYTHON names the Python to build with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/../../requirements
cache=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}
python=${PYTHON:-python3}
environments=${*:-nginx routers litellm}

# install NAME LOCK: an environment with what a lock names. The stamp is written last, so an
# environment without one is an unfinished one.
install() {
  local venv=$cache/$1 lock=$requirements/$2 wanted
  wanted=$(cat "$lock" "${BASH_SOURCE[0]}" | sha256sum)
  [[ -f $venv/stamp && $(<"$venv/stamp") == "$wanted" ]] && return
  echo "installing $venv"
  "$python" -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
  echo "$wanted" >"$venv/stamp"
}

install_nginx() {
  if ! command -v nginx >/dev/null; then
    if [[ $(id -u) != 0 ]]; then
      echo "nginx is missing; run: sudo apt-get install --no-install-recommends nginx-light" >&2
      exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light
  fi
}

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
exec 9>"$cache/install.lock"
flock 9
for environment in $environments; do
  case $environment in
    nginx) install_nginx ;;
    routers) install routers routers.lock ;;
    litellm) install litellm peers.lock ;;
    *)
      echo "unknown environment: $environment" >&2
      exit 1
      ;;
  esac
done
