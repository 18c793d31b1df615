/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager is told: sd_notify(3), "Type=notify".  Says nothing when nobody listens.
 *
 * The protocol is a datagram of lines, promised to stay as it is, and systemd's own manual asks daemons that want
 * nothing else of libsystemd to write it themselves: it would be a library of megabytes in a process that runs as root. */
#ifndef ADIT_NOTIFY_H
#define ADIT_NOTIFY_H

/* Once, before anything is forked: where to, and how often a sign of life is wanted.  Children are not to speak. */
void notify_open(void);

/* The guard stands on every interface that is there: what is ordered after us may go on. */
void notify_ready(void);
/* Around a reload, however it ends.  Nothing is said of one that comes before we were ready. */
void notify_reloading(void);
void notify_reloaded(void);
void notify_stopping(void);
/* A sentence for "systemctl status".  The same as the last one is not sent again. */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* After every round of the loop in which all was as it has to be: silence for too long is answered with a kill and
 * a new start.  Sent four times in that time, not more. */
void notify_alive(void);

#endif
