#!/bin/sh
# Fills the templates in and runs nginx on them. Every few seconds it looks whether a certificate was renewed or a part
# has a new address, as a container that was made anew has, and has nginx read everything again.
set -eu
umask 077
mkdir -p /tmp/edge
[ -n "${INSET_EDGE_TOKEN:-}" ] || INSET_EDGE_TOKEN=$(cat /secrets/edge/token)
export INSET_EDGE_TOKEN INSET_EDGE_CERTIFICATE=/tmp/edge/fullchain.pem INSET_EDGE_CERTIFICATE_KEY=/tmp/edge/key.pem
variables=$(env | sed -n 's/^\(INSET_EDGE_[A-Z_]*\)=.*/${\1}/p')
for template in /etc/inset/*.template; do
    name=${template##*/}
    envsubst "$variables" < "$template" > "/tmp/edge/${name%.template}"
done
unset INSET_EDGE_TOKEN

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
    getent hosts "${INSET_EDGE_SERVICE%:*}" "${INSET_EDGE_HUB_PROXY%:*}" || true
}

follow() {
    seen=$(state)
    while sleep 5; do
        found=$(state)
        if [ "$found" != "$seen" ]; then
            seen=$found
            # What can't be used is told in the log, and what there is goes on.
            take_certificate && nginx -e stderr -c /etc/inset/nginx.conf -s reload || true
        fi
    done
}

take_certificate
follow &
exec nginx -e stderr -c /etc/inset/nginx.conf
