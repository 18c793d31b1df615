/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells the programs which address this gateway shows on each of its interfaces: the source of ICMP errors that it sends
 * into a tunnel. */
#ifndef ADIT_OWN_ADDRESSES_H
#define ADIT_OWN_ADDRESSES_H

/* map_fd: own_addresses.  0 or -errno; then the map stands as it stood. */
int own_addresses_publish(int map_fd);

#endif
