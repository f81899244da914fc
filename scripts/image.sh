#!/usr/bin/env bash
# Builds the image with docker, podman or buildah, whichever is there: scripts/image.sh [arguments of its build …]
# IMAGE names it (default room-connector:<version>), BASE_IMAGE its base, BUILDER the program to build with.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
image="${IMAGE:-room-connector:$version}"

builder="${BUILDER:-}"
if [ -z "$builder" ]; then
    if docker info >/dev/null 2>&1; then builder=docker
    elif command -v podman >/dev/null; then builder=podman
    elif command -v buildah >/dev/null; then builder=buildah
    else
        echo "To build an image, docker (with a running daemon), podman or buildah is needed; none was found." >&2
        exit 69
    fi
fi

set -- --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "$image" "$@"
if [ -n "${BASE_IMAGE:-}" ]; then set -- --build-arg "BASE_IMAGE=$BASE_IMAGE" "$@"; fi
"$builder" build "$@" .
echo "built $image with $builder"
