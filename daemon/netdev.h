/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of nftables' family netdev on the egress of a policy interface: asked before TC, and some of their rules (fwd,
 * dup) send packets out elsewhere, which our rules then never see. */
#ifndef ADIT_NETDEV_H
#define ADIT_NETDEV_H

#include "conf.h"

/* Says in `adit status` which stand there now; after a change of netfilter's rules. */
void netdev_look(const struct conf *conf);

#endif
