#!/usr/bin/env bash
# Fails if a toolchain of the examples is missing, and prints how to install it on Debian 12.
# With --install, which needs root, installs it.
set -euo pipefail
cd "$(dirname "$0")"

# The list is in README.md.
packages=$(sed -n 's/^\$ sudo apt-get install --no-install-recommends //p' README.md)

missing=()
for package in $packages; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
    missing+=("$package")
done

if [[ ${#missing[@]} -gt 0 && ${1-} == --install ]]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
elif [[ ${#missing[@]} -gt 0 ]]; then
  echo "missing; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

if ! node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || ! npm --version >/dev/null; then
  echo "missing: Node.js 20 or newer, with npm" >&2
  exit 1
fi
