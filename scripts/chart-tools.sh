#!/usr/bin/env bash
# Prints a folder with helm, helm-unittest, helm-docs and the custom resource definitions that the chart's objects must
# fit; made once, from source, in the user's cache. One Go module for the three programs, so that what they share is
# compiled once (about two minutes of two cores).
set -euo pipefail

helm=v3.21.3
unittest=v1.1.2
docs=v1.14.2
operator=v0.85.0
keda=v2.20.2
kubernetes_minor=36
tools="${XDG_CACHE_HOME:-$HOME/.cache}/room-connector/chart-$helm-$unittest-$docs-$operator-$keda"

if [ -e "$tools/complete" ]; then echo "$tools"; exit 0; fi
command -v go >/dev/null || { echo "Go 1.26 or newer is needed to build helm and its tests" >&2; exit 69; }
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9
if [ -e "$tools/complete" ]; then echo "$tools"; exit 0; fi
echo "Building helm $helm, helm-unittest $unittest and helm-docs $docs, once (about two minutes) …" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export CGO_ENABLED=0
go mod init tools >/dev/null 2>&1
go mod edit -require "helm.sh/helm/v3@$helm" -require "github.com/helm-unittest/helm-unittest@$unittest" \
    -require "github.com/norwoodj/helm-docs@$docs" \
    -replace github.com/vmware-labs/yaml-jsonpath@v0.3.2=github.com/helm-unittest/yaml-jsonpath@v0.4.0
cat >tools.go <<'GO'
//go:build tools

package tools

import (
	_ "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"
	_ "github.com/norwoodj/helm-docs/cmd/helm-docs"
	_ "helm.sh/helm/v3/cmd/helm"
)
GO
go mod tidy >&2
# Without these a chart's kubeVersion check and its Capabilities meet Kubernetes 1.20.
kube=helm.sh/helm/v3/pkg/chartutil
flags="-s -w -X $kube.k8sVersionMajor=1 -X $kube.k8sVersionMinor=$kubernetes_minor"
flags="$flags -X helm.sh/helm/v3/internal/version.version=$helm"
go build -mod=mod -trimpath -ldflags "$flags" -o "$work/bin/" \
    helm.sh/helm/v3/cmd/helm github.com/helm-unittest/helm-unittest/cmd/helm-unittest \
    github.com/norwoodj/helm-docs/cmd/helm-docs >&2
mv "$work"/bin/* "$tools/"

mkdir -p "$tools/crds"
module_dir() { (cd / && go mod download -json "$1") | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }
from=$(module_dir "github.com/prometheus-operator/prometheus-operator@$operator")/example/prometheus-operator-crd
for kind in podmonitors servicemonitors prometheusrules; do
    install -m 644 "$from/monitoring.coreos.com_$kind.yaml" "$tools/crds/"
done
install -m 644 "$(module_dir "github.com/kedacore/keda/v2@$keda")/config/crd/bases/keda.sh_scaledobjects.yaml" "$tools/crds/"
touch "$tools/complete"
echo "$tools"
