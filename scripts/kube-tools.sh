#!/usr/bin/env bash
# Prints a folder with a real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
# kubectl and kwok with its stages. What is missing is built once, from source, into the user's cache (about ten minutes
# of one core, 0.4 GB). Only `make chart-live` needs it.
set -euo pipefail

kubernetes=1.36.3
etcd=v3.6.8
kwok=v0.8.0
tools="${XDG_CACHE_HOME:-$HOME/.cache}/room-connector/kube-$kubernetes"

command -v go >/dev/null || { echo "Go 1.26 or newer is needed to build a Kubernetes control plane" >&2; exit 69; }
mkdir -p "$tools"
if [ -e "$tools/complete" ]; then echo "$tools"; exit 0; fi

exec 9>"$tools/lock"
flock 9
if [ -e "$tools/complete" ]; then echo "$tools"; exit 0; fi
echo "Building a Kubernetes $kubernetes control plane, once (about ten minutes) …" >&2
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
export GOFLAGS="${GOFLAGS:-} -p=1" CGO_ENABLED=0

# k8s.io/kubernetes names its parts by folders of its own tree; as a dependency they are modules of the same version.
go mod init tools >&2 2>/dev/null
go mod edit -require "k8s.io/kubernetes@v$kubernetes" -require "go.etcd.io/etcd/server/v3@$etcd"
source=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
for part in $(sed -n 's/^[[:space:]]*\(k8s.io\/[a-z0-9-]*\) => .*/\1/p' "$source"); do
    go mod edit -replace "$part=$part@v0.${kubernetes#1.}"
done
cat >tools.go <<'GO'
//go:build tools

package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
GO
go mod tidy >&2

# Without the version a chart's kubeVersion check meets v0.0.0.
version=k8s.io/component-base/version
flags="-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"
build() { # NAME PACKAGE
    [ -x "$tools/$1" ] && return
    echo "  $1" >&2
    go build -mod=mod -trimpath -ldflags "$flags" -o "$work/$1" "$2" >&2
    mv "$work/$1" "$tools/$1"
}
build kubectl k8s.io/kubernetes/cmd/kubectl
build kube-scheduler k8s.io/kubernetes/cmd/kube-scheduler
build etcd go.etcd.io/etcd/server/v3
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager

module_dir() { (cd / && go mod download -json "$1") | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }
if [ ! -x "$tools/kwok" ]; then
    echo "  kwok" >&2
    (cd / && GOBIN="$work" go install -trimpath -ldflags "-s -w" "sigs.k8s.io/kwok/cmd/kwok@$kwok" >&2)
    mv "$work/kwok" "$tools/kwok"
fi
stages=$(module_dir "sigs.k8s.io/kwok@$kwok")/kustomize/stage
mkdir -p "$tools/stages"
find "$stages/node/fast" "$stages/node/heartbeat-with-lease" "$stages/pod/fast" -name '*.yaml' \
    ! -name 'kustomization.yaml' ! -name '*.input.yaml' ! -name '*.output.yaml' \
    -exec install -m 644 {} "$tools/stages/" \;
touch "$tools/complete"
echo "$tools"
