#!/bin/sh
# Debian's Chromium, which hears nothing of networks that come and go.
exec python3 "$(dirname "$0")/deaf.py" chromium "$@"
