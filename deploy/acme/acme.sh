#!/bin/sh
# Has one certificate for all names, fetched by ACME and renewed in time. A wildcard takes a challenge by DNS
# (INSET_ACME_DNS: lego's name of the provider, whose own variables say how to reach it); without one each seat is named.
set -eu
umask 077
root=${INSET_ACME_ROOT:-}
: "${INSET_ACME_EMAIL:?is not set: whom the ACME server writes to}"

set -- --path "$root/acme" --accept-tos --key-type ec256 --email "$INSET_ACME_EMAIL" --domains "inset.$INSET_DOMAIN"
[ -z "${INSET_ACME_SERVER:-}" ] || set -- "$@" --server "$INSET_ACME_SERVER"
[ "$INSET_DEMO" = 0 ] || set -- "$@" --domains "fieldnotes.$INSET_DOMAIN"
if [ -n "${INSET_ACME_DNS:-}" ]; then
    set -- "$@" --domains "*.nb.$INSET_DOMAIN" --dns "$INSET_ACME_DNS"
else
    # With the service, the files of all and the demo: 100 names are the most that a certificate has.
    if [ "$INSET_SEATS" -gt 97 ]; then
        echo "A certificate names at most 100: for more than 97 seats set INSET_ACME_DNS" >&2
        exit 2
    fi
    set -- "$@" --domains "assets.nb.$INSET_DOMAIN"
    number=1
    while [ "$number" -le "$INSET_SEATS" ]; do
        set -- "$@" --domains "seat-$(printf %03d "$number").nb.$INSET_DOMAIN"
        number=$((number + 1))
    done
    set -- "$@" --http --http.webroot "$root/challenge"
fi

# Other names are another certificate: lego would renew the one it has.
wanted=$(printf '%s\n' "$@" | cksum)
while :; do
    if [ "$(cat "$root/acme/names" 2> /dev/null)" = "$wanted" ]; then
        # When this was started is chance enough: it need not wait for some minutes more.
        lego "$@" renew --days 30 --no-random-sleep || echo "It was not renewed; the next try is in twelve hours" >&2
    else
        # Some patience with the edge, which answers the challenge and may just be starting.
        until lego "$@" run; do sleep "${INSET_ACME_PATIENCE:-300}"; done
        printf %s "$wanted" > "$root/acme/names"
    fi
    for file in fullchain.pem:crt key.pem:key; do
        cp "$root/acme/certificates/inset.$INSET_DOMAIN.${file#*:}" "$root/certificates/.${file%:*}"
        mv -f "$root/certificates/.${file%:*}" "$root/certificates/${file%:*}"
    done
    [ "${INSET_ACME_ONCE:-}" != 1 ] || exit 0
    sleep 43200
done
