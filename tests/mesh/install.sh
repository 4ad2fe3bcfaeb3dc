#!/usr/bin/env bash
# Installs Envoy, into the environment of tests/routers, Debian's Chromium, and the library that drives it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

../routers/install.sh routers

installed=browser/node_modules/.package-lock.json
[[ $installed -nt browser/package-lock.json ]] ||
  npm ci --prefix browser --silent --no-audit --no-fund --ignore-scripts

command -v chromium >/dev/null && exit
if [[ $(id -u) != 0 ]]; then
  echo "chromium is missing; run: sudo apt-get install --no-install-recommends chromium" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
