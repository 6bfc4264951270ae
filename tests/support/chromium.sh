#!/bin/sh
# Debian's browser of this file's name, which hears nothing of networks that come and go.
exec python3 "$(dirname "$0")/deaf.py" "$(basename "$0" .sh)" "$@"
