/* SPDX-License-Identifier: BSD-2-Clause */
/* One line per thing that happened, to stderr; journald reads the level from the "<N>" prefix, which is
 * only written when stderr is not a terminal.  Programs log, library code returns.  Octets from the network
 * reach the log only through log_text.  Nothing secret is ever passed in. */
#ifndef ADIT_LOG_H
#define ADIT_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* who ("parent", "ike", "worker") stands in front of every line. */
void log_open(const char *instance, const char *who, enum log_level most);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* octets as text that cannot break a line or a terminal: what is not printable ASCII becomes \xNN. */
const char *log_text(const void *octets, size_t len, char *buf, size_t size);

#endif
