#!/usr/bin/env bash
# Prints the name of an image of this tree, built with buildah for `make image-live`, and sets podman up for it.
# The base is BASE_IMAGE, or a Debian that debootstrap makes once (where no registry of images is within reach), or the
# Dockerfile's own. Everything stays in local storage.
set -euo pipefail
cd "$(dirname "$0")/.."

for program in buildah podman; do
    command -v "$program" >/dev/null || {
        echo "$program is needed; on Debian: apt-get install --no-install-recommends buildah podman runc catatonit debootstrap" >&2
        exit 69
    }
done
suite=trixie
base=localhost/room-connector-base:$suite
export IMAGE=localhost/room-connector:live BUILDER=buildah
export CONTAINERS_CONF="${CONTAINERS_CONF:-$PWD/tests/image_live/containers.conf}"

if [ -z "${BASE_IMAGE:-}" ] && ! podman image exists "$base" && command -v debootstrap >/dev/null; then
    echo "Making a Debian $suite to build on, once (about a minute) …" >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/root" >"$work/log" ||
        { tail -5 "$work/log" >&2; exit 1; }
    rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
    tar -C "$work/root" -c . | podman import - "$base" >&2
fi
if [ -z "${BASE_IMAGE:-}" ] && podman image exists "$base"; then export BASE_IMAGE=$base; fi

set -- --isolation chroot
# Where a proxy has certificates of its own, pip must know them; they are no part of the image.
if [ -n "${SSL_CERT_FILE:-}" ]; then set -- "$@" --volume "$SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro"; fi
before=$(podman image inspect --format '{{.Id}}' "$IMAGE" 2>/dev/null || true)
scripts/image.sh "$@" >&2
# The one before is of no use any more.
if [ -n "$before" ] && [ "$before" != "$(podman image inspect --format '{{.Id}}' "$IMAGE")" ]; then
    podman image rm "$before" >&2
fi
echo "$IMAGE"
