#!/usr/bin/env bash
# Installs Envoy, into the environment of tests/routers, and Debian's Chromium.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

../routers/install.sh routers

command -v chromium >/dev/null && exit
if [[ $(id -u) != 0 ]]; then
  echo "chromium is missing; run: sudo apt-get install --no-install-recommends chromium" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
