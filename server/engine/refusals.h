/* SPDX-License-Identifier: Apache-2.0 */
/* Made by `make refusals` from runs of tests/crash; not edited by hand.  See refusal.h. */
RELEASE("1.7.3")
