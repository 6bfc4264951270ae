#!/bin/sh
# The key that signs its users' tokens comes from the environment or from a file.
set -eu
[ -n "${DEMO_SECRET:-}" ] || DEMO_SECRET=$(cat "$DEMO_SECRET_FILE")
export DEMO_SECRET
exec python -m demo
