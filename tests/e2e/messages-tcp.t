#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What messages.t sends, over TCP.
MESSAGES_OVER=--tcp
. tests/e2e/messages.t
