#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An invalid setting of the client or the server gives an error that names it, and says what was
# expected.
. tests/e2e/lib.sh

# with NAME=VALUE COMMAND...: run the client with that setting.
with() {
    setting=$1
    shift
    remote env "$setting" "$BUILD/tests/e2e/client" "$@" 2>&1
}

start_server
while read -r name value expected; do
    is "with $name='$value' every call fails" "$(with "$name=$value" 'new 0 Flat' 'new 1 Flat')" \
        "new 0 Flat: -4 faissx: $name is '$value', but must be $expected
new 1 Flat: -4 faissx: $name is '$value', but must be $expected"
done <<'END'
FAISSX_TIMEOUT abc a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT -5 a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT nan a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT inf a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 5x a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 0x10 a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 0 a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 0.0001 a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 99999999999999999999999 a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 1,5 a number of seconds from 0.001 to 1000000000
FAISSX_TIMEOUT 1. a number of seconds from 0.001 to 1000000000
FAISSX_CONNECT_TIMEOUT abc a number of seconds from 0.001 to 1000000000
FAISSX_CONNECT_TIMEOUT 0 a number of seconds from 0.001 to 1000000000
FAISSX_CONNECT_TIMEOUT -1 a number of seconds from 0.001 to 1000000000
FAISSX_ABI Legacy legacy
FAISSX_ABI 1 legacy
FAISSX_RETRIES abc a number from 0 to 1000000
FAISSX_RETRIES -1 a number from 0 to 1000000
FAISSX_RETRIES 1.5 a number from 0 to 1000000
FAISSX_RETRIES 1000001 a number from 0 to 1000000
FAISSX_SPIN abc a number of microseconds from 0 to 1000000
FAISSX_SPIN -1 a number of microseconds from 0 to 1000000
FAISSX_SPIN 1.5 a number of microseconds from 0 to 1000000
FAISSX_JOIN 64k a number of bytes from 0 to 1073741824
FAISSX_JOIN -1 a number of bytes from 0 to 1073741824
FAISSX_PATH_MAP /d/=faissx:/x PREFIX=faissx://PREFIX,...
FAISSX_PATH_MAP /d/ PREFIX=faissx://PREFIX,...
FAISSX_PATH_MAP =faissx://x PREFIX=faissx://PREFIX,...
END
for setting in FAISSX_TIMEOUT=30 FAISSX_TIMEOUT=20.5 FAISSX_TIMEOUT=020.12345 FAISSX_TIMEOUT=1000000000 \
    FAISSX_TIMEOUT= FAISSX_SPIN=0 FAISSX_SPIN=1000000 FAISSX_CONNECT_TIMEOUT=2.5 FAISSX_RETRIES=0 FAISSX_RETRIES=1000000 FAISSX_JOIN=0 FAISSX_JOIN=100 \
    FAISSX_PATH_MAP=/d/=faissx://,/e/=faissx://e; do
    is "$setting is accepted" "$(with "$setting" 'new 0 Flat')" "new 0 Flat: ok"
done
if [ -z "$SANITIZER_RUNTIME" ]; then
    is "without a server, an invalid setting has no effect" \
        "$(preloaded env FAISSX_TIMEOUT=abc "$BUILD/tests/e2e/client" 'new 0 Flat' 2>&1)" "new 0 Flat: ok"
fi

cat >"$TMP/code.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include "faiss_c_compat.h"
#include "faissx.h"

int main(void)
{
    FaissIndex *index;
    int rc = faiss_index_factory(&index, 4, "Flat", METRIC_L2);
    printf("%d %d\n", rc, faissx_last_error_code() == FAISSX_E_CONFIG);
    unsetenv("FAISSX_SPIN");
    rc = faissx_configure(getenv("FAISSX_SERVER"), NULL, NULL);
    printf("%d %d\n", rc, rc ? 0 : faiss_index_factory(&index, 4, "Flat", METRIC_L2));
}
END
ok "the program that prints faissx_last_error_code() compiles" ${CC:-gcc} -std=gnu11 -I. -Ishim "$TMP/code.c" \
    -o "$TMP/code" -L"$BUILD" -lfaissx_c -Wl,-rpath,"$BUILD" -Wl,--allow-shlib-undefined
is "the code is FAISSX_E_CONFIG, and faissx_configure() reads the settings again" \
    "$(LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0" FAISSX_SERVER=$SERVER FAISSX_SPIN=x \
        FAISSX_FAISS_LIBRARY=/nonexistent "$TMP/code")" "-4 1
0 0"
ok "the server stops" stop_server

# --- the server ---

while read -r option value; do
    text=$(timeout 20 "$BUILD/faissx-server" run --bind "ipc://$TMP/none" "$option" "$value" 2>&1)
    is "$option $value: exit status" $? 2
    like "$option $value: message" "$text" "^faissx-server: $option: '$value' is not a number from [0-9]+ to [0-9]+\$"
done <<'END'
--lease 5x
--lease nan
--threads abc
--threads -5
--memory 1e3
--max-pending 0
--total-memory inf
--max-unauthenticated 99999999999999999999
END
for value in abc -5 nan 5x 99999; do
    text=$(FAISSX_PORT=$value timeout 20 "$BUILD/faissx-server" run 2>&1)
    is "FAISSX_PORT=$value: exit status" $? 2
    like "FAISSX_PORT=$value: message" "$text" "^faissx-server: FAISSX_PORT: '$value' is not a number from 0 to 65535\$"
done
