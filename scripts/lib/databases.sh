#!/usr/bin/env bash
# scripts/lib/databases.sh: makes sure that there are PostgreSQL and MariaDB for tests to start;
# Debian's, if none. It starts none itself: a test runs its own, in a folder and on a port of its own.
set -euo pipefail

PATH=$PATH:/usr/sbin # not in everybody's, but mariadbd's
missing=()
if [[ -z $(compgen -G '/usr/lib/postgresql/*/bin/initdb') ]] && ! command -v initdb >/dev/null; then
    missing+=(postgresql)
fi
# The server alone, without the service that Debian would make of it and start; the client's package
# has what a new data folder takes.
for program in mariadbd mariadb-install-db my_print_defaults; do
    if ! command -v "$program" >/dev/null; then
        missing+=(mariadb-server-core mariadb-client-core)
        break
    fi
done
if ((${#missing[@]})); then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
    [[ $EUID -eq 0 ]] || as_root=(sudo "${as_root[@]}")
    "${as_root[@]}" apt-get update -qq
    # PostgreSQL without a cluster of its own, which Debian would make and start.
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    [[ -e /etc/postgresql-common/createcluster.conf ]] \
        || echo 'create_main_cluster = false' \
        | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    "${as_root[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi
for found in /usr/lib/postgresql/*/bin/postgres "$(command -v postgres || true)"; do
    [[ ! -x $found ]] || break
done
"$found" --version
mariadbd --version
