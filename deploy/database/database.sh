#!/bin/sh
# Makes the cluster on the first start, brings the one account's password to what the secret says, and serves.
set -eu
umask 077

as_superuser() {
    postgres --single -j -D "$PGDATA" postgres > /dev/null
}

if [ ! -e "$PGDATA/made" ]; then
    # What an interrupted first start left is nobody's data yet.
    rm -rf "$PGDATA"
    initdb --pgdata "$PGDATA" --username postgres --locale C.UTF-8 --encoding UTF8 --auth-local peer --auth-host scram-sha-256
    # By the network only the service's account, into its database alone; the superuser from in here (psql -h /tmp).
    printf '%s\n' "host inset inset all scram-sha-256" "local all postgres peer" > "$PGDATA/pg_hba.conf"
    echo "CREATE ROLE inset LOGIN" | as_superuser
    echo "CREATE DATABASE inset OWNER inset" | as_superuser
    touch "$PGDATA/made"
fi
echo "ALTER ROLE inset PASSWORD '$(cat /secrets/database/password)'" | as_superuser
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c jit=off -c shared_buffers=128MB
