#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the packages that building, checking or linting needs, on Debian and its derivatives.
#
#   packaging/deps.sh build|engine|check|lint|demo|bench...
#
# Does nothing if all of them are installed.  Without root, or sudo without a password, it
# prints the command to run and exits with status 1.
set -eu

packages() {
    case $1 in
    build) echo build-essential pkg-config libzmq3-dev libmsgpack-dev libjansson-dev uthash-dev libseccomp-dev \
        libsqlite3-dev libxxhash-dev libsodium-dev ;;
    engine) echo build-essential cmake libopenblas-dev dpkg-dev ;;
    check) echo libcmocka-dev clang libclang-rt-dev perl python3 python3-venv binutils iproute2 \
        python3-zmq python3-msgpack python3-numpy ;;
    lint) echo clang clang-format clang-tidy cppcheck ;;
    demo) echo faketime ;;
    bench) echo valgrind iproute2 python3-venv ;;
    *) echo "deps: unknown group '$1' (build, engine, check, lint, demo, bench)" >&2; exit 2 ;;
    esac
}

[ $# -gt 0 ] || set -- build
wanted=
for group in "$@"; do
    wanted="$wanted $(packages "$group")"
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    cat >&2 <<END
deps: this is not a Debian system, so nothing was installed.  Needed are, by Debian's names:
   $wanted
deps: if all of that is there, go on by setting FAISSX_NO_DEPS=1.
END
    [ "${FAISSX_NO_DEPS:-}" = 1 ] && exit 0
    exit 1
fi

missing=
for p in $wanted; do
    case " $missing " in *" $p "*) continue ;; esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
[ "${FAISSX_NO_DEPS:-}" != 1 ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root() { "$@"; }
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root() { sudo -n "$@"; }
else
    printf 'deps: some packages are missing; as root, run\n\n    apt-get install -y --no-install-recommends%s\n\n' "$missing" >&2
    exit 1
fi

printf 'deps: installing%s\n' "$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086 # a list
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}
# On a fresh machine apt's package lists are missing or old: fetch them and try again.
install || { as_root apt-get update >"$log" 2>&1 && install; } ||
    { cat "$log" >&2; echo "deps: apt-get could not install$missing" >&2; exit 1; }
