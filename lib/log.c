// SPDX-License-Identifier: BSD-2-Clause
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *log_instance = "adit", *log_who = "";
static enum log_level log_most = LOG_LEVEL_INFO;
static bool log_to_terminal = true;

void log_open(const char *instance, const char *who, enum log_level most)
{
	log_instance = instance;
	log_who = who;
	log_most = most;
	log_to_terminal = isatty(STDERR_FILENO);
}

/* One write, so that lines of several processes do not mix; no stdio, whose set-up asks for system calls that
 * confined processes have given up. */
void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const words[] = {[LOG_LEVEL_ERROR] = "error: ", [LOG_LEVEL_WARN] = "warning: "};
	char text[1024], stamp[16], line[1200];
	struct timespec now;
	struct tm tm;
	va_list ap;
	int len;

	if (level > log_most)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	if (log_to_terminal)
		len = snprintf(line, sizeof(line), "%s.%03ld %.32s/%s: %s%s\n", stamp, now.tv_nsec / 1000000,
			       log_instance, log_who, level <= LOG_LEVEL_WARN ? words[level] : "", text);
	else
		len = snprintf(line, sizeof(line), "<%d>%s.%03ld %.32s/%s: %s\n", level, stamp,
			       now.tv_nsec / 1000000, log_instance, log_who, text);
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return; /* nobody listens: there is nowhere to say so */
}

const char *log_text(const void *octets, size_t len, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = octets;
	size_t i, n = 0;

	for (i = 0; i < len && n + 5 < size; i++) {
		if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\') {
			buf[n++] = (char)p[i];
			continue;
		}
		buf[n++] = '\\';
		buf[n++] = 'x';
		buf[n++] = hex[p[i] >> 4];
		buf[n++] = hex[p[i] & 15];
	}
	if (size)
		buf[n] = '\0';
	return buf;
}
