#!/bin/sh
# install.sh ENVIRONMENT REQUIREMENTS
# Makes an environment for an image, by uv; or by pip, where uv can't: pip alone knows what a base image tells pip.
set -e
python3 -m venv "$1"
exactly="--no-deps --require-hashes -r $2"
UV_SYSTEM_CERTS=1 /build/bin/uv pip install --no-cache --compile-bytecode --python "$1" $exactly \
    || "$1/bin/pip" install --no-cache-dir $exactly
