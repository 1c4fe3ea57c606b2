/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr:
 *
 *     2026-05-04T09:08:07.654Z info front event=listening endpoint=tcp://127.0.0.1:45678
 *
 * A line has the time (UTC), the level, the component (front or engine), and key=value pairs, of
 * which the first is the event.  A value that may contain blanks is in double quotes; `why` is a
 * text for people.
 *
 *     fxs_log(FXS_WARN, "front", "event=closed peer=\"%s\" why=\"%s\"", peer, why);
 *
 * Each line is one write().  Control characters, which a client may have put into a name, become
 * '?'.  Callers never log API keys.
 *
 * Any thread may log; the level is set once, before other threads start.
 */
#ifndef FXS_LOG_H
#define FXS_LOG_H

enum fxs_level { FXS_ERROR, FXS_WARN, FXS_INFO, FXS_DEBUG };
#define FXS_LEVELS "error|warn|info|debug" /* in the order of the enum */

void fxs_log_level(enum fxs_level level);

__attribute__((format(printf, 3, 4))) void fxs_log(enum fxs_level level, const char *component,
                                                   const char *format, ...);

#endif
