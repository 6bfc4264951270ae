#!/bin/sh
# What the service needs before it serves: a signing key of its own, made once, and the newest schema.
set -eu
[ -e "$INSET_SIGNING_KEY_FILE" ] || inset keygen "$INSET_SIGNING_KEY_FILE"
inset db upgrade
exec inset serve
