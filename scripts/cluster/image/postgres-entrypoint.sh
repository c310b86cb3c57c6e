#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts PostgreSQL on PGDATA; makes the data folder, the role and the database on the first start.
# The folder is made in PGDATA/.initializing and moved into place with PG_VERSION last: whoever is killed half-way
# starts over, and a folder with PG_VERSION is complete.
set -eu

fail() { echo "entrypoint: $1" >&2; exit 1; }
read_secret() { if [ -n "$2" ]; then cat "$2"; else printf '%s' "$1"; fi; }

: "${PGDATA:=/var/lib/postgresql/data/pgdata}"
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
draft=$PGDATA/.initializing

quote_identifier() {
  rest=$1 quoted=
  while :; do
    case $rest in
      *\"*) quoted=$quoted${rest%%\"*}\"\" rest=${rest#*\"} ;;
      *) printf '"%s"' "$quoted$rest"; return ;;
    esac
  done
}

initialize() {
  password=$(read_secret "${POSTGRES_PASSWORD:-}" "${POSTGRES_PASSWORD_FILE:-}")
  [ -n "$password" ] || fail "set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE: the data folder is empty"
  if [ -d "$draft" ]; then
    echo "entrypoint: the first start was interrupted, starting over" >&2
    for item in "$PGDATA"/* "$PGDATA"/.[!.]*; do
      case ${item##*/} in lost+found) ;; *) rm -rf "$item" ;; esac
    done
  fi
  for item in "$PGDATA"/* "$PGDATA"/.[!.]*; do
    case ${item##*/} in lost+found | '*' | '.[!.]*') ;; *) fail "$PGDATA holds $item but no PG_VERSION: not a data folder, left alone" ;; esac
  done
  mkdir -p "$draft"
  printf '%s\n' "$password" > "$draft/.password"
  mkdir "$draft/data"
  initdb -D "$draft/data" --username="$user" --pwfile="$draft/.password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 >&2
  rm "$draft/.password"
  printf 'host all all all scram-sha-256\n' >> "$draft/data/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE %s\n' "$(quote_identifier "$database")" |
      postgres --single -j -D "$draft/data" -c log_min_messages=error postgres > /dev/null
  fi
  for item in "$draft"/data/*; do
    case ${item##*/} in PG_VERSION) ;; *) mv "$item" "$PGDATA/" ;; esac
  done
  mv "$draft/data/PG_VERSION" "$PGDATA/PG_VERSION"
}

mkdir -p "$PGDATA"
# Also later than the first start: Kubernetes opens a volume to the pod's fsGroup at every mount, PostgreSQL refuses that.
chmod 700 "$PGDATA" || fail "$PGDATA must belong to user $(id -u): let PGDATA name a folder inside the volume"
[ -e "$PGDATA/PG_VERSION" ] || initialize
rm -rf "$draft"
# A kill leaves the lock file behind; its pid is meaningless in a new container, where it may even be our own.
rm -f "$PGDATA/postmaster.pid"

[ "${1:-}" != postgres ] || shift
sockets=
[ ! -w /tmp ] || sockets=/tmp
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories="$sockets" "$@"
