#!/usr/bin/env bash
# Writes build/sbom.cdx.json (CycloneDX): the runtime set of requirements.txt as PYTHON installs it, with licences and
# who needs whom. The image runs Python 3.13: make sbom PYTHON=python3.13
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/tools"
"${PYTHON:-python3}" -m venv --without-pip "$work/runtime"
"$work/tools/bin/pip" --quiet --disable-pip-version-check --python "$work/runtime/bin/python3" \
    install --require-hashes -r requirements.txt
mkdir -p build
"${BIN:-.venv/bin}/cyclonedx-py" environment --pyproject pyproject.toml --mc-type application --output-reproducible \
    -o build/sbom.cdx.json "$work/runtime/bin/python3"
echo "wrote build/sbom.cdx.json: $(grep -c '"purl"' build/sbom.cdx.json) packages"
