// SPDX-License-Identifier: BSD-2-Clause
#include "spd.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"

/* What one writing needs. */
struct spd {
	int state_fd, rules_fd, hits_fd;
	const struct conf *conf;
	struct adit_spd_state state;
	struct adit_hits *none; /* a row of zeros for every CPU */
};

static int open_spd(struct spd *s, struct programs *programs, const struct conf *conf)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	*s = (struct spd){
		.state_fd = programs_map_fd(programs, "spd_state"),
		.rules_fd = programs_map_fd(programs, "spd"),
		.hits_fd = programs_map_fd(programs, "rule_hits"),
		.conf = conf,
	};
	if (cpus < 1 || bpf_map_lookup_elem(s->state_fd, &zero, &s->state))
		return -EIO;
	s->none = calloc((size_t)cpus, sizeof(*s->none));
	return s->none ? 0 : -ENOMEM;
}

static int write_state(struct spd *s)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(s->state_fd, &zero, &s->state, BPF_ANY) ? -errno : 0;
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

static void fill_rule(const struct conf_rule *r, int family, struct adit_rule *ret)
{
	const struct conf_acl_rule *m = r->match;

	memset(ret, 0, sizeof(*ret));
	ret->id = r->id;
	ret->policy = r->policy->id;
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

/* What the policy does with everything else, as a rule that matches it. */
static void fill_rest(const struct conf_policy *policy, int family, struct adit_rule *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->policy = policy->id;
	ret->action = policy->unmatched == CONF_DROP ? ADIT_REST_DISCARD : ADIT_REST_BYPASS;
	ret->family = family == AF_INET ? 4 : 6;
	ret->local_port_max = ret->remote_port_max = 65535;
	snprintf(ret->name, sizeof(ret->name), "%.21s/unmatched", policy->name);
}

static int put_row(struct spd *s, uint32_t set, uint32_t *n, const struct adit_rule *rule)
{
	struct adit_spd_key key = {.set = set, .position = *n};

	if (*n >= ADIT_RULES_MAX)
		return -E2BIG;
	/* Without this entry the rule works all the same, only uncounted. */
	if (rule->id)
		bpf_map_update_elem(s->hits_fd, &rule->id, s->none, BPF_NOEXIST);
	if (bpf_map_update_elem(s->rules_fd, &key, rule, BPF_ANY))
		return -errno;
	++*n;
	return 0;
}

static int put_policy(struct spd *s, uint32_t set, uint32_t *n, const struct conf_policy *policy)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct adit_rule rule;
	size_t i, f;
	int err = 0;

	for (i = 0; i < policy->n_rules && !err; i++) {
		const struct conf_rule *r = &s->conf->rules[policy->first_rule + i];

		for (f = 0; f < 2 && !err; f++) {
			if (r->match->family != AF_UNSPEC && r->match->family != families[f])
				continue;
			fill_rule(r, families[f], &rule);
			err = put_row(s, set, n, &rule);
		}
	}
	for (f = 0; f < 2 && !err; f++) {
		fill_rest(policy, families[f], &rule);
		err = put_row(s, set, n, &rule);
	}
	return err;
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

	while (bpf_map_get_next_key(s->hits_fd, at, &next) == 0) {
		if (!is_rule(s->conf, next)) {
			bpf_map_delete_elem(s->hits_fd, &next);
			continue;
		}
		id = next;
		at = &id;
	}
}

static int put_all(struct spd *s, uint32_t set, uint32_t *n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < s->conf->n_policies && !err; i++)
		err = put_policy(s, set, n, s->conf->policies[i]);
	return err;
}

static void clear_rows(struct spd *s, uint32_t set, uint32_t from, uint32_t to)
{
	struct adit_spd_key key = {.set = set};

	for (key.position = from; key.position < to; key.position++)
		bpf_map_delete_elem(s->rules_fd, &key);
}

/* Programs may read this struct half written, so one field at a time: the length of the new set while nobody uses it,
 * the switch, and then the generation that voids what was cached on the way. */
static int switch_to(struct spd *s, uint32_t set, uint32_t n)
{
	int err;

	s->state.rules[set] = n;
	err = write_state(s);
	if (err)
		return err;
	s->state.set = set;
	err = write_state(s);
	if (err)
		return err;
	s->state.generation++;
	return write_state(s);
}

int spd_write(struct programs *programs, const struct conf *conf)
{
	uint32_t set, n = 0;
	struct spd s;
	int err;

	err = open_spd(&s, programs, conf);
	if (err)
		return err;
	set = !s.state.set;
	forget_hits(&s);
	err = put_all(&s, set, &n);
	if (!err) {
		clear_rows(&s, set, n, s.state.rules[set]);
		err = switch_to(&s, set, n);
	}
	if (!err) {
		clear_rows(&s, !set, 0, s.state.rules[!set]);
		s.state.rules[!set] = 0;
	}
	free(s.none);
	return err;
}

void spd_ports_changed(struct programs *programs)
{
	int fd = programs_map_fd(programs, "spd_state");
	struct adit_spd_state state;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &state) == 0) {
		state.generation++;
		bpf_map_update_elem(fd, &zero, &state, BPF_ANY);
	}
}
