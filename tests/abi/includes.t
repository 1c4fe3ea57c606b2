#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes go one way: proto/ stands below shim/ and server/, the front and the engine do not know
# each other, and the programs in cli/ and bench/ speak to a server as clients do.  Only
# server/main.c, which starts either, sees both.  The store includes nothing but itself.  The generator shares the words of the table.
set -u
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep -rHoE '^#include "[^"]+"' --include='*.[ch]' proto shim server cli bench audit |
    sed 's/:#include "\(.*\)"$/ \1/' >"$work/includes"

# Reads lines "FILE INCLUDED" and prints those that are not allowed.  A name without a folder is a
# file beside it, or is generated (names.h, api_gen.h, ...).
wrong() {
    awk '
    function is_in(folder) { return index($2, folder) == 1 }
    $2 !~ "/" { next }
    { ok = is_in("proto/") }
    $1 ~ "^proto/gen/" { ok = $2 == "proto/table.h" || $2 == "proto/limits.h" }
    $1 ~ "^shim/" { ok = ok || is_in("shim/") }
    $1 ~ "^server/" { ok = ok || is_in("server/") && !is_in("server/front/") && !is_in("server/engine/") }
    $1 ~ "^server/front/" { ok = ok || is_in("server/front/") }
    $1 ~ "^server/engine/" { ok = ok || is_in("server/engine/") }
    $1 ~ "^server/store/" { ok = is_in("server/store/") }
    $1 == "server/main.c" { ok = ok || is_in("server/") }
    is_in("proto/gen/") { ok = 0 }
    !ok { print $1 " includes " $2 }'
}

result() { # NUMBER NAME STATUS
    [ "$3" = 0 ] && echo "ok $1 - $2" || echo "not ok $1 - $2"
}
echo 1..4
[ "$(wc -l <"$work/includes")" -gt 300 ]
result 1 "includes are found" $?

# The check itself works.
cat >"$work/crooked" <<'END'
proto/wire.c shim/error.h
shim/calls/call.c server/log.h
server/log.c server/engine/engine.h
server/front/front.c server/engine/engine.h
server/engine/run/pool.c server/front/front.h
server/store/store.c server/log.h
server/store/read.c server/engine/engine.h
cli/ask.c shim/error.h
bench/client.c shim/error.h
END
[ "$(wrong <"$work/crooked" | wc -l)" = 9 ]
result 2 "the check finds an include that goes the wrong way" $?

wrong <"$work/includes" >"$work/wrong"
[ ! -s "$work/wrong" ]
result 3 "no include goes the wrong way" $?
sed 's/^/# /' "$work/wrong"

# Headers are named by their path, because two may have the same name.
awk '$2 !~ "/" { dir = $1; sub("[^/]*$", "", dir); print dir $2, $1 }' "$work/includes" |
    while read -r beside file; do
        case $file in shim/* | server/* | proto/*.c | proto/*.h)
            case $beside in
            proto/gen/*) ;;
            *) [ ! -f "$beside" ] || echo "$file includes ${beside##*/} without its folder" ;;
            esac
            ;;
        esac
    done >"$work/short"
[ ! -s "$work/short" ]
result 4 "headers are named by their path" $?
sed 's/^/# /' "$work/short"
