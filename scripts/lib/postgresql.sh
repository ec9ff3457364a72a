#!/usr/bin/env bash
# scripts/lib/postgresql.sh: makes sure that there is a PostgreSQL for tests to start; Debian's, if none.
# It starts none itself: a test runs one of its own, in a folder and on a port of its own.
set -euo pipefail

if [[ -z $(compgen -G '/usr/lib/postgresql/*/bin/initdb') ]] && ! command -v initdb >/dev/null; then
    as_root=()
    [[ $EUID -eq 0 ]] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    # Without a cluster of its own, which Debian would make and start.
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    [[ -e /etc/postgresql-common/createcluster.conf ]] \
        || echo 'create_main_cluster = false' \
        | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    "${as_root[@]}" apt-get install -qq -y --no-install-recommends postgresql >/dev/null
fi
for found in /usr/lib/postgresql/*/bin/postgres "$(command -v postgres || true)"; do
    [[ ! -x $found ]] || exec "$found" --version
done
