#!/bin/sh
# The key that signs its users' tokens, and the secret that webhooks are signed with, come from the environment or files.
set -eu
[ -n "${DEMO_SECRET:-}" ] || DEMO_SECRET=$(cat "$DEMO_SECRET_FILE")
export DEMO_SECRET
if [ -n "${DEMO_WEBHOOK_SECRET_FILE:-}" ]; then
    DEMO_WEBHOOK_SECRET=$(cat "$DEMO_WEBHOOK_SECRET_FILE")
    export DEMO_WEBHOOK_SECRET
fi
exec python -m demo
