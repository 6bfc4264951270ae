#!/bin/sh
# Fills the templates in and runs nginx on them. Every few seconds it looks whether a certificate was renewed, a part has
# a new address, as a container that was made anew has, or one of several replicas of the service begins to leave or has
# come, and has nginx read everything again.
set -eu
umask 077
mkdir -p /tmp/edge
token=${INSET_EDGE_TOKEN:-$(cat /secrets/edge/token)}
# Not in the environment of what runs for long.
unset INSET_EDGE_TOKEN
export INSET_EDGE_CERTIFICATE=/tmp/edge/fullchain.pem INSET_EDGE_CERTIFICATE_KEY=/tmp/edge/key.pem

# Gives a part's NAME:PORT; while the name has no address, a place where nobody listens. nginx looks names up when it
# reads its configuration, and takes none that it does not find: without one part the others would be closed, too.
or_nobody() {
    if getent hosts "${1%:*}" > /dev/null; then echo "$1"; else echo 127.0.0.1:9; fi
}

# The service may have several addresses: then those of the replicas that want requests.
look() {
    found=$(getent hosts "${INSET_EDGE_SERVICE%:*}" | cut -d ' ' -f 1)
    port=${INSET_EDGE_SERVICE##*:}
    case $found in
        "") service=127.0.0.1:9 ;;
        *[!0-9a-f.:]*) service=$(python3 /etc/inset/replicas.py "$port" $found) || service=$INSET_EDGE_SERVICE ;;
        *:*) service=[$found]:$port ;;
        *) service=$found:$port ;;
    esac
    hub_proxy=$(or_nobody "$INSET_EDGE_HUB_PROXY")
}

fill_in() (
    INSET_EDGE_TOKEN=$token
    INSET_EDGE_SERVICE=$service
    INSET_EDGE_HUB_PROXY=$hub_proxy
    export INSET_EDGE_TOKEN INSET_EDGE_SERVICE INSET_EDGE_HUB_PROXY
    variables=$(env | sed -n 's/^\(INSET_EDGE_[A-Z_]*\)=.*/${\1}/p')
    for template in /etc/inset/*.template; do
        name=${template##*/}
        envsubst "$variables" < "$template" > "/tmp/edge/${name%.template}"
    done
)

# One that was brought or fetched comes before the one made here.
certificates() {
    if [ -r /certificates/fullchain.pem ] && [ -r /certificates/key.pem ]; then echo /certificates; else echo /secrets/edge; fi
}

take_certificate() {
    from=$(certificates)
    # By force: the one before may be one that nobody writes to.
    cp --force "$from/fullchain.pem" "$from/key.pem" /tmp/edge/
}

state() {
    from=$(certificates)
    cksum "$from/fullchain.pem" "$from/key.pem"
    echo "$service"
    # Several addresses come in any order.
    getent hosts "${INSET_EDGE_HUB_PROXY%:*}" | sort
}

follow() {
    while sleep 3; do
        look
        now=$(state) || continue
        if [ "$now" != "$seen" ]; then
            seen=$now
            # What can't be used is told in the log, and what there is goes on.
            take_certificate && fill_in && nginx -e stderr -c /etc/inset/nginx.conf -s reload || true
        fi
    done
}

# Before the first look of nginx's own: what changes from here on is seen.
look
seen=$(state)
take_certificate
fill_in
follow &
exec nginx -e stderr -c /etc/inset/nginx.conf
