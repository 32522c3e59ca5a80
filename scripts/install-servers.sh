#!/bin/sh
# The servers and the browser that tests run against, from Debian's packages. Where they cannot be
# installed, the tests that need them say so and are skipped (with CI set they fail instead).
set -u
PATH="$PATH:/usr/sbin"
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need mosquitto mosquitto
need influxd influxdb
need chromium chromium
need mbpoll mbpoll
need collectd "collectd-core libmodbus5"
[ -n "$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ] || missing="$missing postgresql"
[ -z "$missing" ] && exit 0

echo "Installing for the tests:$missing"
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "This is no Debian; install by hand if you want their tests to run:$missing"
    exit 0
fi
# shellcheck disable=SC2086
if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq \
    --no-install-recommends $missing >/dev/null; }; then
    echo "Could not install:$missing. Their tests will be skipped."
fi
exit 0
