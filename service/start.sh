#!/bin/sh
# What the service needs before it serves: a signing key of its own, made once, and the newest schema. Replicas may
# upgrade at once; one whose database is away ends here, and is started again by whoever started it.
set -eu
[ -e "$INSET_SIGNING_KEY_FILE" ] || inset keygen "$INSET_SIGNING_KEY_FILE"
inset db upgrade
# The demo, where there is one; where there is none any more, its users are turned away.
if [ -n "${INSET_DEMO_HOST_FILE:-}" ]; then
    if [ -e "$INSET_DEMO_HOST_FILE" ]; then
        # It is told what is saved, by plain http, within the network that it shares with the service.
        INSET_WEBHOOKS__NETWORKS=$(python /opt/inset/network_of.py "$INSET_DEMO_NETWORK_NAME")
        export INSET_WEBHOOKS__NETWORKS
        inset hosts apply "$INSET_DEMO_HOST_FILE"
    elif inset hosts list | grep -q '^demo	'; then
        inset hosts remove demo
    fi
fi
exec inset serve
