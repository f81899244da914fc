#!/bin/sh
# Prints the path of a livekit-server; builds the pinned one once into the user's cache when there is none.
# Order: $LIVEKIT_SERVER, a livekit-server on PATH, the cache, `go install`.
set -eu

version=v1.13.5
cache="${XDG_CACHE_HOME:-$HOME/.cache}/room-connector/bin"
built="$cache/livekit-server-$version"

if [ -n "${LIVEKIT_SERVER:-}" ]; then
    [ -x "$LIVEKIT_SERVER" ] || { echo "LIVEKIT_SERVER names $LIVEKIT_SERVER, which is not a program" >&2; exit 69; }
    echo "$LIVEKIT_SERVER"
    exit 0
fi
if command -v livekit-server; then exit 0; fi
if [ -x "$built" ]; then echo "$built"; exit 0; fi

if ! command -v go >/dev/null; then
    cat >&2 <<MESSAGE
A livekit-server is needed and none was found. Do one of these, then try again:
  - install livekit-server (https://docs.livekit.io/transport/self-hosting/local/) so that it is on PATH,
  - set LIVEKIT_SERVER to its path,
  - install Go 1.26 or newer; it is then built from source, once.
MESSAGE
    exit 69
fi
minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
if [ "$minor" -lt 26 ] 2>/dev/null; then
    echo "Go 1.26 or newer is needed to build livekit-server $version; found $(go env GOVERSION)." >&2
    exit 69
fi
echo "Building livekit-server $version with $(go env GOVERSION), once (about two minutes) …" >&2
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
GOBIN="$work" go install "github.com/livekit/livekit-server/cmd/server@$version" >&2
mv "$work/server" "$built"
echo "$built"
