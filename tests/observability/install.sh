#!/usr/bin/env bash
# Unpacks Debian's Prometheus, with promtool, into the cache folder. It is not installed, so that no
# service is started, and root is needed only to read the lists of packages.
#
#   tests/observability/install.sh [CACHE_FOLDER]
#
# The cache folder is the argument, $PENSTOCK_CACHE, or ${XDG_CACHE_HOME:-~/.cache}/penstock.
# What is there already and still fits is kept.
set -euo pipefail

# The package of Debian 12; revisions with security fixes count as the same version.
version=2.42.0
fresh=

cache=${1:-${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
folder=$cache/prometheus

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

download() {
  (cd "$1" && apt-get download -qq -o APT::Sandbox::User=root "prometheus=$version*" 2>&1)
}

# The stamp is written last, so a folder without one is an unfinished one.
unpack() {
  command -v apt-get >/dev/null || fail "needs apt-get, to download Debian's prometheus $version"
  fresh=$(mktemp -d "$cache/prometheus.XXXXXX")
  trap '[[ -z $fresh ]] || rm -rf "$fresh"' EXIT
  echo "installing $folder"
  if ! download "$fresh" >/dev/null; then
    [[ $(id -u) == 0 ]] || fail "apt-get download failed; run: sudo apt-get update"
    apt-get update -qq
    download "$fresh" || fail "Debian's prometheus $version cannot be downloaded"
  fi
  dpkg -x "$fresh"/*.deb "$fresh/root"
  rm -rf "$folder"
  mv "$fresh/root" "$folder"
  echo "$version" >"$folder/stamp"
}

exec 9>"$cache/install.lock"
flock 9
[[ -f $folder/stamp && $(<"$folder/stamp") == "$version" ]] || unpack
"$folder/usr/bin/promtool" --version | head -n 1
