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

void log_line(enum log_level level, const char *fmt, ...)
{
	struct timespec now;
	char line[1024], stamp[16];
	struct tm tm;
	va_list ap;

	if (level > log_most)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	if (!log_to_terminal)
		dprintf(STDERR_FILENO, "<%d>%s.%03ld %s/%s: %s\n", level, stamp, now.tv_nsec / 1000000,
			log_instance, log_who, line);
	else
		dprintf(STDERR_FILENO, "%s.%03ld %s/%s: %s%s\n", stamp, now.tv_nsec / 1000000, log_instance,
			log_who,
			level == LOG_LEVEL_ERROR  ? "error: "
			: level == LOG_LEVEL_WARN ? "warning: "
						  : "",
			line);
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
