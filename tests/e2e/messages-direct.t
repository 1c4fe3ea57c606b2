#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What messages.t sends, over the socket that clients on the server's host use: the engine
# itself reads it there.
HOSTILE=direct
. tests/e2e/messages.t
