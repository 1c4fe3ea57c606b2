/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which symbols the library exports.  Everything is compiled with hidden visibility; what programs
 * may call is marked with this, and named in the linker's version script as well.
 */
#ifndef FX_EXPORT_H
#define FX_EXPORT_H

#define FX_EXPORT __attribute__((visibility("default")))

#endif
