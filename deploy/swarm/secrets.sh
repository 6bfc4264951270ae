#!/bin/sh
# Makes the secrets that stack.yaml names, on a manager, once:
#
#   INSET_DOMAIN=example.org INSET_CERTIFICATES=FOLDER sh secrets.sh       with fullchain.pem and key.pem in that folder
#
# By the script that compose.yaml has them made by; without INSET_CERTIFICATES also a certificate of a CA of its own, whose
# ca.pem is then printed. Nothing of it stays on this machine: signing.pem signs tickets and receipts, so keep a copy of
# what `docker exec` of a service's task shows in /secrets where you keep such things.
set -eu
umask 077
export INSET_HUB_TOKEN="${INSET_HUB_TOKEN:-}" INSET_EDGE_TOKEN="${INSET_EDGE_TOKEN:-}" INSET_DATABASE_PASSWORD="${INSET_DATABASE_PASSWORD:-}"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
docker run --rm --network none --user 0:0 --tmpfs /secrets --tmpfs /tmp --env "INSET_DOMAIN=$INSET_DOMAIN" \
    --env INSET_DEMO=0 --env "INSET_PORT=${INSET_PORT:-443}" --env "INSET_URL_PORT=${INSET_URL_PORT:-}" --env INSET_HUB_TOKEN \
    --env INSET_EDGE_TOKEN --env INSET_DATABASE_PASSWORD "${INSET_REGISTRY:-}inset-edge:${INSET_TAG:-latest}" \
    sh -c 'sh /opt/inset/secrets.sh >&2 && tar -C /secrets -c database edge hub service' | tar -C "$made" -x --no-same-owner

certificates=${INSET_CERTIFICATES:-$made/edge}
docker secret create inset-database-password "$made/database/password"
docker secret create inset-service-settings "$made/service/settings.env"
docker secret create inset-service-signing "$made/service/signing.pem"
docker secret create inset-hub-token "$made/hub/token"
docker secret create inset-edge-token "$made/edge/token"
docker secret create inset-edge-certificate "$certificates/fullchain.pem"
docker secret create inset-edge-key "$certificates/key.pem"
[ -n "${INSET_CERTIFICATES:-}" ] || cat "$made/edge/ca.pem"
