/* SPDX-License-Identifier: BSD-2-Clause */
/* XDP programs of a device; the rest is in programs.h. */
#ifndef ADIT_XDP_H
#define ADIT_XDP_H

#include <linux/types.h>

/* Those of the instance; another's stays. */
void xdp_detach(const char *instance, __u32 ifindex);

#endif
