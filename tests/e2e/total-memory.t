#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --total-memory is what all engines may have together: what one has, another cannot get.
. tests/e2e/lib.sh
case $BUILD in *-address | *-thread) skip_all "an engine with a sanitizer has no limit" ;; esac

start_server --total-memory 500 --auth-keys a:x,b:y
as() { (FAISSX_API_KEY=$1 && export FAISSX_API_KEY && shift && client "$@"); }
as b 'new 0 Flat' >/dev/null
x=$(stat_of pid a) y=$(stat_of pid b)
FAISSX_API_KEY=a
export FAISSX_API_KEY
talk holder
unset FAISSX_API_KEY
ask holder 'new 0 Flat' >/dev/null
is "one tenant's engine takes much of it" "$(ask holder 'add 0 3000000')" ok # of 64 bytes
sleep 1.5 # the limits are divided once a second
like "there is no memory then for that of another" "$(as b 'new 0 Flat' 'add 0 5000000' | tail -n 1)" ': -[0-9]* .*memory'
is "the engines live" "$(stat_of pid a) $(stat_of pid b)" "$x $y"
is "the first one has its vectors" "$(ask holder 'total 0')" 3000000
ask holder 'free 0' >/dev/null
sleep 1.5
like "when it has given them back, there is" "$(as b 'new 0 Flat' 'add 0 5000000' | tail -n 1)" ': ok$'
is "the engines live" "$(stat_of pid a) $(stat_of pid b)" "$x $y"
ok "the server stops" stop_server
