#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# FAISSX_ABI=legacy: a program that was compiled with old headers, whose structures are smaller.
. tests/e2e/lib.sh

wanted="defaults 25 1 0 0 0 0 39 256 1234
made 0: niter 7 seed 99 update 1 max 50
stats 0 0 0
guards whole"
is "FAISSX_ABI=legacy fits old structures in process" "$(FAISSX_ABI=legacy preloaded "$BUILD/tests/e2e/legacy")" "$wanted"
like "without FAISSX_ABI=legacy they do not fit" "$(preloaded "$BUILD/tests/e2e/legacy")" 'guards broken'
start_server
is "FAISSX_ABI=legacy fits old structures on a server" "$(FAISSX_ABI=legacy remote "$BUILD/tests/e2e/legacy")" "$wanted"
ok "the server stops" stop_server
