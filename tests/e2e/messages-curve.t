#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What messages.t sends, by libzmq under CURVE.
MESSAGES_OVER=curve
. tests/e2e/messages.t
