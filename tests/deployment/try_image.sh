#!/usr/bin/env bash
# Build the images from their Dockerfiles without a Docker engine, and run their processes as containers
# would: as user 10001 without capabilities, on a root file system that is read-only.
#
# Not a part of the test suite: it needs root, debootstrap, buildah, and a PostgreSQL and a Redis on
# this machine. Debian's own Python takes the place of the official image's, which has the same version.
#
#   OV2XMP_DATABASE_URL=postgres://postgres@127.0.0.1:5432/ov2xmp_image \
#   OV2XMP_REDIS_URL=redis://127.0.0.1:6379/0 tests/deployment/try_image.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${OV2XMP_DATABASE_URL:?name a database that may be filled}" "${OV2XMP_REDIS_URL:?name a redis}"
folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
base=localhost/python:3.13-slim-trixie
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$folder/storage" --runroot "$folder/run" "$@"; }

if ! buildah inspect --type image "$base" > "$folder/inspect.log" 2>&1; then
  echo '== Base image'
  [ -e "$folder/base/usr/bin/python3" ] || debootstrap --variant=minbase \
    --include=python3,python3-venv,ca-certificates trixie "$folder/base" > "$folder/debootstrap.log"
  chroot "$folder/base" python3 -m venv /usr/local
  # Where a proxy with an authority of its own stands before the registries.
  cp /etc/ssl/certs/ca-certificates.crt "$folder/base/etc/ssl/certs/"
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$folder/base" /
  buildah commit --quiet --rm "$container" "$base"
fi

processes=()
# shellcheck disable=SC2317
finish() {
  kill "${processes[@]}" 2> "$folder/kill.log" || true
  wait || true
  buildah rm --all > "$folder/rm.log"
}
trap finish EXIT

mkdir -p "$folder/state/data" "$folder/state/files"
chown 10001:10001 "$folder/state/data" "$folder/state/files"
read -r web_port csms_port ftp_port files_port < <(python3 - <<'PYTHON'
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(each.getsockname()[1] for each in sockets))
PYTHON
)
secret() { head -c 18 /dev/urandom | base64; }
settings=(
  "OV2XMP_BIND=127.0.0.1" "OV2XMP_WEB_PORT=$web_port" "OV2XMP_CSMS_PORT=$csms_port" "OV2XMP_FTP_PORT=$ftp_port"
  "OV2XMP_FILES_PORT=$files_port" "OV2XMP_FTP_PASSWORD=$(secret)" "OV2XMP_HTTP_PASSWORD=$(secret)"
)

# Builds an image and makes what follows run in a container of it.
enter() {
  echo "== Build $1"
  buildah build --format docker --layers --pull=never --build-arg "PYTHON=$base" --tag "localhost/$1:try" --file "$2" .
  local container
  container=$(buildah from --pull=never "localhost/$1:try")
  root=$(buildah mount "$container")
  mapfile -t variables < <(buildah inspect --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' "$container" | grep .)
  variables+=("${settings[@]}")
}

# In a mount namespace of its own, with the volumes of compose/platform.yml in place.
inside() {
  # shellcheck disable=SC2016
  exec unshare --mount --propagation private bash -c '
    set -eu
    root=$1 state=$2; shift 2
    mount --bind "$root" "$root"
    [ ! -e "$root/var/lib/ov2xmp" ] || mount --bind "$state/data" "$root/var/lib/ov2xmp"
    mount --bind "$state/files" "$root/srv/files"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -o remount,bind,ro "$root"
    cd "$root"
    exec chroot . setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all \
      env --ignore-environment --chdir=/app "$@"
  ' _ "$root" "$folder/state" "${variables[@]}" "$@"
}
once() { (inside "$@"); }

# Starts a process; its name, how it tells that it works, and its command.
start() {
  local name=$1 health=$2
  shift 2
  (inside "$@") > "$folder/$name.log" 2>&1 &
  processes+=($!)
  # shellcheck disable=SC2086
  for attempt in $(seq 60); do
    if once $health 2> "$folder/health.log"; then
      echo "$name works after $attempt looks"
      return
    fi
    sleep 0.5
  done
  cat "$folder/health.log" "$folder/$name.log"
  exit 1
}

stop_all() {
  echo '== SIGTERM'
  kill "${processes[@]}"
  for process in "${processes[@]}"; do
    wait "$process" && code=0 || code=$?
    echo "ended with $code"
  done
  processes=()
}

enter ov2xmp Dockerfile
variables+=(
  "OV2XMP_DATABASE_URL=$OV2XMP_DATABASE_URL" "OV2XMP_REDIS_URL=$OV2XMP_REDIS_URL" "OV2XMP_REDIS_PREFIX=try-$$"
  "OV2XMP_ADMIN_PASSWORD=$(secret)"
)

echo '== Who it is, and what it may write'
once sh -c 'id && grep -E "^Cap(Eff|Bnd)" /proc/self/status && ! touch /app/x 2> /tmp/denied && cat /tmp/denied'
once sh -c 'if python -m pip --version; then exit 1; fi; if command -v gcc || command -v make; then exit 1; fi'
echo 'Secrets, tests and build tools in it:'
once sh -c 'find / -xdev \( -name "*.pem.key" -o -name ".env*" -o -name config.json -o -name "secret-key" \) -o -path "*/app/tests" 2> /tmp/denied || true'
once sh -c 'ls /app && pg_dump --version && python --version'
du --summarize --human-readable --one-file-system "$root"

echo '== What ov2xmp-migrate does'
once python manage.py migrate --no-input --verbosity 0
once python manage.py createadmin

once python manage.py makeauthority

echo '== Processes'
start web 'python -m deployment.healthcheck web' daphne -v 0 -b 127.0.0.1 -p "$web_port" ov2xmp.asgi:application
start csms 'python -m deployment.healthcheck csms' python -m csms
start worker 'python -m deployment.healthcheck worker' \
  celery --quiet -A ov2xmp worker --beat --loglevel=info --concurrency=2 --without-gossip --without-mingle
time once python -m deployment.healthcheck worker
time once python -m deployment.healthcheck web

echo '== A station'
once python - "$csms_port" <<'PYTHON'
import asyncio
import json
import sys

import websockets


async def main() -> None:
    url = f"ws://127.0.0.1:{sys.argv[1]}/ws/ocpp/try-image"
    async with websockets.connect(url, subprotocols=["ocpp1.6"]) as station:
        boot = {"chargePointVendor": "try", "chargePointModel": "image"}
        await station.send(json.dumps([2, "1", "BootNotification", boot]))
        print(await asyncio.wait_for(station.recv(), 10))


asyncio.run(main())
PYTHON

echo '== Backup'
once python manage.py backup - > "$folder/backup.tar.gz"
tar --list --gzip --file "$folder/backup.tar.gz"
stop_all

enter ov2xmp-ftp-server ftp_server/Dockerfile
start ftp 'python -m ftp_server.health' python -m ftp_server
stop_all
enter ov2xmp-http-file-server http_file_server/Dockerfile
start files 'python -m http_file_server.health' python -m http_file_server
stop_all
echo '== Done'
