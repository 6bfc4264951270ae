#!/bin/sh
# Prints the Secrets that the manifests name, made by chance: sh secrets.sh DATABASE_URL | kubectl create -f -
# Run it once, and keep what it printed where you keep such things: signing.pem signs tickets and receipts.
set -eu
umask 077
[ $# = 1 ] || { echo "Usage: sh secrets.sh postgresql://user:password@host/database" >&2; exit 2; }
hub=$(openssl rand -hex 24) edge=$(openssl rand -hex 24) metrics=$(openssl rand -hex 24)

# secret NAME: prints one; its entries come on stdin, as `key: |` blocks.
secret() {
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: inset}\nstringData:\n' "$1"
    sed 's/^/  /'
}

secret inset-hub <<VALUES
token: "$hub"
VALUES
secret inset-edge <<VALUES
token: "$edge"
VALUES
secret inset-metrics <<VALUES
token: "$metrics"
VALUES
secret inset-service <<VALUES
settings.env: |
  INSET_DATABASE_URL=$1
  INSET_HUB__TOKEN=$hub
  INSET_EDGE_TOKEN=$edge
  INSET_METRICS_TOKEN=$metrics
signing.pem: |
$(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | sed 's/^/  /')
VALUES
