// SPDX-License-Identifier: BSD-2-Clause
#include "spd.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"

struct spd {
	struct spd_fds fds;
	const struct conf *conf;
	struct adit_spd_state state;
	int cpus;
};

int spd_new(const struct spd_fds *fds, const struct conf *conf, struct spd **ret)
{
	struct spd *s = calloc(1, sizeof(*s));
	uint32_t zero = 0;

	if (!s)
		return -ENOMEM;
	s->fds = *fds;
	s->conf = conf;
	s->cpus = libbpf_num_possible_cpus();
	if (s->cpus < 1 || bpf_map_lookup_elem(fds->state, &zero, &s->state)) {
		free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void spd_free(struct spd *s)
{
	free(s);
}

static void write_state(struct spd *s)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(s->fds.state, &zero, &s->state, BPF_ANY))
		log_error("spd_state cannot be written: %s", strerror(errno));
}

void spd_changed(struct spd *s)
{
	s->state.generation++;
	write_state(s);
}

static void set_prefix(const struct addr_range *range, int family, struct adit_addr *value,
		       struct adit_addr *mask)
{
	unsigned i;

	/* "any -> any" of both families: the range spans all, each family's row gets its own part. */
	memcpy(value->octets, range->min.b, 16);
	for (i = 0; i < 16; i++)
		mask->octets[i] = ~(range->min.b[i] ^ range->max.b[i]);
	if (family == AF_INET) {
		memset(value->octets, 0, 10);
		memset(value->octets + 10, 0xff, 2);
		memset(mask->octets, 0xff, 12);
	}
}

static void fill_rule(const struct conf_rule *r, unsigned ifindex, int family, struct adit_rule *ret)
{
	const struct conf_acl_rule *m = r->match;

	memset(ret, 0, sizeof(*ret));
	ret->id = r->id;
	ret->ifindex = ifindex;
	ret->action = m->permit				    ? ADIT_PROTECT
		      : r->policy->deny_action == CONF_DROP ? ADIT_DISCARD
							    : ADIT_BYPASS;
	ret->family = family == AF_INET ? 4 : 6;
	ret->protocol = m->protocol;
	ret->local_port_min = m->local_port[0];
	ret->local_port_max = m->local_port[1];
	ret->remote_port_min = m->remote_port[0];
	ret->remote_port_max = m->remote_port[1];
	set_prefix(&m->local, family, &ret->local, &ret->local_mask);
	set_prefix(&m->remote, family, &ret->remote, &ret->remote_mask);
	snprintf(ret->name, sizeof(ret->name), "%.31s", r->name);
}

static int put_rule(struct spd *s, uint32_t set, uint32_t *n, const struct conf_rule *r, unsigned ifindex,
		    int family)
{
	struct adit_spd_key key = {.set = set, .position = *n};
	struct adit_hits *none;
	struct adit_rule rule;

	if (*n >= ADIT_RULES_MAX)
		return -E2BIG;
	fill_rule(r, ifindex, family, &rule);
	/* Without this entry the rule works all the same, only uncounted. */
	none = calloc((size_t)s->cpus, sizeof(*none));
	if (none)
		bpf_map_update_elem(s->fds.hits, &r->id, none, BPF_NOEXIST);
	free(none);
	if (bpf_map_update_elem(s->fds.rules, &key, &rule, BPF_ANY))
		return -errno;
	++*n;
	return 0;
}

static int put_policy(struct spd *s, uint32_t set, uint32_t *n, const struct conf_interface *iface)
{
	unsigned ifindex = if_nametoindex(iface->name);
	size_t i;
	int err;

	if (!ifindex)
		return 0; /* the parent waits for it and then starts us anew */
	for (i = 0; i < iface->policy->n_rules; i++) {
		const struct conf_rule *r = &s->conf->rules[iface->policy->first_rule + i];

		if (r->match->family != AF_INET6) {
			err = put_rule(s, set, n, r, ifindex, AF_INET);
			if (err)
				return err;
		}
		if (r->match->family != AF_INET) {
			err = put_rule(s, set, n, r, ifindex, AF_INET6);
			if (err)
				return err;
		}
	}
	return 0;
}

static bool is_rule(const struct conf *conf, uint32_t id)
{
	size_t i;

	for (i = 0; i < conf->n_rules; i++)
		if (conf->rules[i].id == id)
			return true;
	return false;
}

/* The map outlives configurations, and would fill up with the counters of rules that are no more. */
static void forget_hits(struct spd *s)
{
	uint32_t id = 0, next, *at = NULL;

	while (bpf_map_get_next_key(s->fds.hits, at, &next) == 0) {
		if (!is_rule(s->conf, next)) {
			bpf_map_delete_elem(s->fds.hits, &next);
			continue;
		}
		id = next;
		at = &id;
	}
}

int spd_write(struct spd *s)
{
	uint32_t set = !s->state.set, n = 0, old;
	struct adit_spd_key key = {.set = set};
	size_t i;
	int err;

	forget_hits(s);
	for (i = 0; i < s->conf->n_interfaces; i++) {
		if (!s->conf->interfaces[i]->policy)
			continue;
		err = put_policy(s, set, &n, s->conf->interfaces[i]);
		if (err)
			return err;
	}
	old = s->state.rules[set];
	for (key.position = n; key.position < old; key.position++)
		bpf_map_delete_elem(s->fds.rules, &key);
	/* Programs may read this struct half written, so one field at a time: the length of the new set while
	 * nobody uses it, the switch, and then the generation that voids what was cached on the way. */
	s->state.rules[set] = n;
	write_state(s);
	s->state.set = set;
	write_state(s);
	spd_changed(s);
	key.set = !set;
	for (key.position = 0; key.position < s->state.rules[!set]; key.position++)
		bpf_map_delete_elem(s->fds.rules, &key);
	s->state.rules[!set] = 0;
	return 0;
}

bool spd_hits(const struct spd *s, uint32_t rule, struct adit_hits *ret)
{
	struct adit_hits *each = calloc((size_t)s->cpus, sizeof(*each));
	bool found;
	int i;

	if (!each)
		return false;
	found = bpf_map_lookup_elem(s->fds.hits, &rule, each) == 0;
	*ret = (struct adit_hits){0};
	for (i = 0; found && i < s->cpus; i++) {
		ret->packets += each[i].packets;
		ret->octets += each[i].octets;
	}
	free(each);
	return found;
}
