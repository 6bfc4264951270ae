#!/bin/sh
# Prints what stack.yaml needs beside it for restricted data: a network for each seat, with hub and service on all of them.
#
#   sh restricted.sh 16 > restricted.yaml
#   docker stack deploy --compose-file stack.yaml --compose-file restricted.yaml inset
set -eu
[ $# = 1 ] || { echo "Usage: sh restricted.sh SEATS" >&2; exit 2; }
prefix=${INSET_SWARM_RESTRICTED_NETWORKS:-inset-restricted}
seats=$(seq -f 'seat-%03g' 1 "$1")

echo 'version: "3.9"'
echo 'services:'
# The engine's proxy has to know of them, and is on none.
for part in engine hub; do
    printf '  %s:\n    environment: {INSET_SWARM_RESTRICTED_NETWORKS: %s}\n' "$part" "$prefix"
done
on_all() {
    echo '    networks:'
    for seat in $seats; do echo "      $seat: {}"; done
}
on_all # the hub
echo '  service:'
on_all
echo 'networks:'
for seat in $seats; do echo "  $seat: {name: $prefix-$seat, driver: overlay, internal: true}"; done
