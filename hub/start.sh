#!/bin/sh
# The proxy of a container before this one is gone, and its process id belongs to something else here: the hub would end that.
set -eu
rm -f "$INSET_HUB_DATA/proxy.pid"
exec jupyterhub -f /opt/inset/jupyterhub_config.py
