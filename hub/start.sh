#!/bin/sh
# The proxy of a container before this one is gone, and its process id belongs to something else here: the hub would end that.
set -eu
rm -f "$INSET_HUB_DATA/proxy.pid"
[ -n "${INSET_HUB_TOKEN:-}" ] || INSET_HUB_TOKEN=$(cat "$INSET_HUB_TOKEN_FILE")
export INSET_HUB_TOKEN
exec jupyterhub -f /opt/inset/jupyterhub_config.py
