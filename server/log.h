/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr:
 *
 *     2026-05-04T09:08:07.654Z info front listening endpoint=tcp://127.0.0.1:45678
 *
 * time, level, component, what happened, key=value pairs.  A line is one write(), and
 * has no control characters whatever a client put into a name.  API keys are never
 * passed to it.
 *
 * Any thread; the level is set once, before there are threads.
 */
#ifndef FXS_LOG_H
#define FXS_LOG_H

enum fxs_level { FXS_ERROR, FXS_WARN, FXS_INFO, FXS_DEBUG };
#define FXS_LEVELS "error|warn|info|debug" /* in the order of the enum */

void fxs_log_level(enum fxs_level level);

__attribute__((format(printf, 3, 4))) void fxs_log(enum fxs_level level, const char *component,
                                                   const char *format, ...);

#endif
