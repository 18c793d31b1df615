// SPDX-License-Identifier: BSD-2-Clause
#include "own_addresses.h"

#include <adit/maps.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "link.h"

struct found {
	unsigned n;
	__u32 ifindex[ADIT_OWN_MAX];
	struct adit_own own[ADIT_OWN_MAX];
};

/* NULL: there are more interfaces than rows. */
static struct adit_own *row_of(struct found *f, __u32 ifindex)
{
	unsigned i;

	for (i = 0; i < f->n && f->ifindex[i] != ifindex; i++)
		;
	if (i == ADIT_OWN_MAX)
		return NULL;
	if (i == f->n)
		f->ifindex[f->n++] = ifindex;
	return &f->own[i];
}

/* The first of each family: the kernel names the primary one first. */
static void take(void *self, unsigned ifindex, const struct addr *address)
{
	static const struct adit_addr none;
	struct adit_own *own = row_of(self, ifindex);
	struct adit_addr *to;

	if (!own)
		return;
	to = addr_is_v4(address) ? &own->v4 : &own->v6;
	if (!memcmp(to, &none, sizeof(none)))
		memcpy(to->octets, address->b, sizeof(to->octets));
}

static bool is_found(const struct found *f, __u32 ifindex)
{
	unsigned i;

	for (i = 0; i < f->n; i++)
		if (f->ifindex[i] == ifindex)
			return true;
	return false;
}

static void forget_others(int map_fd, const struct found *f)
{
	__u32 ifindex = 0, next, *at = NULL;

	while (bpf_map_get_next_key(map_fd, at, &next) == 0) {
		if (is_found(f, next)) {
			ifindex = next;
			at = &ifindex;
		} else {
			bpf_map_delete_elem(map_fd, &next);
		}
	}
}

int own_addresses_publish(int map_fd)
{
	static struct found f;
	int err;
	unsigned i;

	memset(&f, 0, sizeof(f));
	err = link_each_address(take, &f);
	if (err)
		return err;
	forget_others(map_fd, &f);
	for (i = 0; i < f.n && !err; i++)
		err = bpf_map_update_elem(map_fd, &f.ifindex[i], &f.own[i], BPF_ANY) ? -errno : 0;
	return err;
}
