// SPDX-License-Identifier: BSD-2-Clause
#include "door.h"

#include <adit/note.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define ESP_LEAST 24 /* header and the smallest IV and ICV that any suite here has */

int arrival_ask(int fd, int family)
{
	static const struct {
		int family, level, option;
	} want[] = {
		{AF_INET,  IPPROTO_IP,   IP_PKTINFO	},
		{AF_INET,  IPPROTO_IP,   IP_RECVTOS	},
		{AF_INET6, IPPROTO_IPV6, IPV6_RECVPKTINFO},
		{AF_INET6, IPPROTO_IPV6, IPV6_RECVTCLASS },
	};
	const int on = 1;
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(*want); i++)
		if (want[i].family == family &&
		    setsockopt(fd, want[i].level, want[i].option, &on, sizeof(on)))
			return -errno;
	return 0;
}

static void read_v4(const struct cmsghdr *c, struct arrival *ret, bool *local)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_TOS)
		ret->tos = *CMSG_DATA(c);
	if (c->cmsg_type != IP_PKTINFO)
		return;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	ret->local.addr = addr_from_v4(&info.ipi_addr);
	ret->ifindex = (uint32_t)info.ipi_ifindex;
	*local = true;
}

static void read_v6(const struct cmsghdr *c, struct arrival *ret, bool *local)
{
	struct in6_pktinfo info;
	int class;

	if (c->cmsg_type == IPV6_TCLASS) {
		memcpy(&class, CMSG_DATA(c), sizeof(class));
		ret->tos = (uint8_t) class;
	}
	if (c->cmsg_type != IPV6_PKTINFO)
		return;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	ret->local.addr = addr_from_v6(&info.ipi6_addr);
	ret->ifindex = info.ipi6_ifindex;
	*local = true;
}

bool arrival_read(struct msghdr *msg, struct arrival *ret)
{
	struct cmsghdr *c;
	bool local = false;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_v4(c, ret, &local);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_v6(c, ret, &local);
	}
	return local && endpoint_from_sockaddr(msg->msg_name, &ret->remote) == 0;
}

/* adit_outside runs on policy interfaces and nowhere else. */
static bool has_policy(const struct datapath_fds *fds, uint32_t ifindex)
{
	struct adit_port port;

	return bpf_map_lookup_elem(fds->ports, &ifindex, &port) == 0 && port.role == ADIT_ROLE_OUTSIDE;
}

static bool hand_over(int fd, const struct adit_note *note, const uint8_t *esp, size_t len)
{
	struct iovec parts[] = {
		{(void *)note, sizeof(*note)},
		{(void *)esp,  len		 },
	};
	const struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(sizeof(*note) + len);
}

uint32_t door_spi(const uint8_t *esp)
{
	uint32_t spi;

	memcpy(&spi, esp, sizeof(spi));
	return ntohl(spi);
}

enum ike_reason door_take(const struct datapath_fds *fds, const struct arrival *a, const uint8_t *esp,
			  size_t len)
{
	struct adit_note note = {
		.magic = ADIT_NOTE_MAGIC,
		.kind = ADIT_NOTE_OPEN,
		.open = {.peer_port = a->remote.port, .tos = a->tos},
	};
	struct adit_sa_in sa;
	uint32_t spi;

	if (!has_policy(fds, a->ifindex))
		return IKE_WHY_ESP_ELSEWHERE;
	if (len < sizeof(spi))
		return IKE_WHY_ESP_MALFORMED;
	spi = door_spi(esp);
	if (bpf_map_lookup_elem(fds->sa_in, &spi, &sa) ||
	    memcmp(&sa.local, a->local.addr.b, sizeof(sa.local)))
		return IKE_WHY_ESP_UNKNOWN;
	if (len < ESP_LEAST || len & 3)
		return IKE_WHY_ESP_MALFORMED;
	note.id = sa.index;
	memcpy(&note.open.peer, a->remote.addr.b, sizeof(note.open.peer));
	return hand_over(fds->door, &note, esp, len) ? IKE_WHY_ESP_HANDED_ON : IKE_WHY_ESP_DOOR_FULL;
}
