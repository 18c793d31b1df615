// SPDX-License-Identifier: BSD-2-Clause
#include "programs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "load.h"
#include "tc.h"
#include "xdp.h"

/* ---- facts of this host -------------------------------------------------------------------- */

static int update(int fd, const void *key, const void *value)
{
	return bpf_map_update_elem(fd, key, value, BPF_ANY) ? -errno : 0;
}

int programs_set_host(struct programs *p, const struct adit_host *host)
{
	struct adit_host signed_host = *host;
	__u32 zero = 0;

	memset(signed_host.instance, 0, sizeof(signed_host.instance));
	memcpy(signed_host.instance, p->instance, strlen(p->instance));
	return update(programs_map_fd(p, "host"), &zero, &signed_host);
}

int programs_set_port(struct programs *p, __u32 ifindex, const struct adit_port *port)
{
	struct adit_vlan_key key = {.lower_ifindex = port->lower_ifindex,
				    .tag = ADIT_TAG(port->vlan_type, port->vlan)};
	int err = 0;

	if (port->vlan)
		err = update(programs_map_fd(p, "vlan_ports"), &key, &ifindex);
	return err ? err : update(programs_map_fd(p, "ports"), &ifindex, port);
}

int programs_set_socket(struct programs *p, __u32 slot, __u32 queue, int xsk_fd)
{
	__u32 key = slot * ADIT_QUEUES_MAX + queue;

	return update(programs_map_fd(p, "xsks"), &key, &xsk_fd);
}

/* ---- leaving ------------------------------------------------------------------------------- */

static void leave(const struct programs *p, int ports_fd, __u32 ifindex)
{
	struct adit_port port;

	if (bpf_map_lookup_elem(ports_fd, &ifindex, &port))
		return;
	tc_detach(p->instance, PROGRAM_EGRESS, ifindex);
	tc_detach(p->instance, PROGRAM_INGRESS, ifindex);
	xdp_detach(p->instance, port.lower_ifindex ? port.lower_ifindex : ifindex);
}

static void forget_vlan(struct programs *p, __u32 ifindex)
{
	int fd = programs_map_fd(p, "vlan_ports");
	struct adit_vlan_key key, next, *at = NULL;
	__u32 value;

	while (bpf_map_get_next_key(fd, at, &next) == 0) {
		if (bpf_map_lookup_elem(fd, &next, &value) == 0 && value == ifindex) {
			bpf_map_delete_elem(fd, &next);
			return;
		}
		key = next;
		at = &key;
	}
}

/* Is the device below this port still below one that stays?  Then its XDP program stays too. */
static bool lower_stays(int fd, __u32 ifindex, const __u32 *ifindexes, unsigned n)
{
	struct adit_port gone, kept;

	if (bpf_map_lookup_elem(fd, &ifindex, &gone))
		return true;
	while (n--)
		if (bpf_map_lookup_elem(fd, &ifindexes[n], &kept) == 0 &&
		    kept.lower_ifindex == gone.lower_ifindex)
			return true;
	return false;
}

static bool is_among(__u32 ifindex, const __u32 *ifindexes, unsigned n)
{
	while (n--)
		if (ifindexes[n] == ifindex)
			return true;
	return false;
}

void programs_keep_ports(struct programs *p, const __u32 *ifindexes, unsigned n)
{
	int fd = programs_map_fd(p, "ports");
	__u32 ifindex = 0, next, *at = NULL;

	while (bpf_map_get_next_key(fd, at, &next) == 0) {
		if (is_among(next, ifindexes, n)) {
			ifindex = next;
			at = &ifindex;
			continue;
		}
		if (lower_stays(fd, next, ifindexes, n)) {
			tc_detach(p->instance, PROGRAM_EGRESS, next);
			tc_detach(p->instance, PROGRAM_INGRESS, next);
		} else {
			leave(p, fd, next);
		}
		forget_vlan(p, next);
		bpf_map_delete_elem(fd, &next);
	}
}

int programs_get_port(struct programs *p, __u32 ifindex, struct adit_port *ret)
{
	return bpf_map_lookup_elem(programs_map_fd(p, "ports"), &ifindex, ret) ? -errno : 0;
}

bool programs_next_port(struct programs *p, __u32 *ifindex, struct adit_port *ret)
{
	int fd = programs_map_fd(p, "ports");

	return bpf_map_get_next_key(fd, *ifindex ? ifindex : NULL, ifindex) == 0 &&
	       bpf_map_lookup_elem(fd, ifindex, ret) == 0;
}

void programs_forget_port(struct programs *p, __u32 ifindex)
{
	forget_vlan(p, ifindex);
	bpf_map_delete_elem(programs_map_fd(p, "ports"), &ifindex);
}
