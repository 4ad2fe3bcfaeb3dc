#!/usr/bin/env bash
# Fails if a package that the benchmark needs is missing, and prints how to install it on Debian 12.
# With --install, which needs root, installs it.
set -euo pipefail
cd "$(dirname "$0")"

# The list is in README.md.
packages=$(sed -n 's/^\$ sudo apt-get install --no-install-recommends //p' README.md)

# On other systems, only their presence is checked.
present() {
  case $1 in
  gcc) command -v cc ;;
  libc6-dev) echo '#include <stdio.h>' | cc -E - ;;
  libnghttp2-dev) echo '#include <nghttp2/nghttp2.h>' | cc -E - ;;
  valgrind) command -v valgrind && echo '#include <valgrind/callgrind.h>' | cc -E - ;;
  *) false ;;
  esac >/dev/null 2>&1
}

missing=()
for package in $packages; do
  present "$package" || missing+=("$package")
done

if [[ ${#missing[@]} -gt 0 && ${1-} == --install ]]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
elif [[ ${#missing[@]} -gt 0 ]]; then
  echo "missing; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
