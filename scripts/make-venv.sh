#!/bin/sh
# Makes the virtual environment; on a bare Debian, brings the package that this needs.
# Usage: make-venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Quantrac needs Python 3.11 or newer; $python is $("$python" --version 2>&1)." >&2
    echo "Name another one: make PYTHON=/path/to/python3 ..." >&2
    exit 1
}
"$python" -m venv "$folder" >/dev/null 2>&1 && exit 0

rm -rf "$folder"
echo "This Python lacks its venv module; installing Debian's package python3-venv ..."
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && $sudo apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; then
    "$python" -m venv "$folder"
else
    echo "Could not install it. As an administrator: apt-get install python3-venv, then try again." >&2
    exit 1
fi
