/* SPDX-License-Identifier: BSD-2-Clause */
/* The slow door: ESP that comes to our sockets, because the kernel had to put it together from fragments, or
 * because no XDP program runs where it came in (ppp, tun).  It is shown to the worker as XDP would have shown it.
 *
 * What bpf/outside.h asks of a packet is asked here too, of the same maps: nobody gets by this door what the
 * other one refuses.
 */
#ifndef ADIT_IKE_DOOR_H
#define ADIT_IKE_DOOR_H

#include <sys/socket.h>

#include "datapath.h"

/* How a datagram came. */
struct arrival {
	struct endpoint local, remote; /* ports 0: ESP without UDP */
	uint32_t ifindex;
	uint8_t tos; /* or traffic class */
};

/* Socket options that make the kernel tell; family: AF_INET, AF_INET6.  0 or -errno. */
int arrival_ask(int fd, int family);
/* From what recvmsg filled in; ports only if the socket has some.  False: it does not say where it was sent to. */
bool arrival_read(struct msghdr *msg, struct arrival *ret);

/* RFC 4303 2.1; the first four octets. */
uint32_t door_spi(const uint8_t *esp);
/* esp: from the SPI on (RFC 4303 2), which is not 0.  What came of it: IKE_WHY_ESP_*. */
enum ike_reason door_take(const struct datapath_fds *fds, const struct arrival *a, const uint8_t *esp,
			  size_t len);

#endif
