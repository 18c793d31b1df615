/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The SPD: rules in order, the first that matches decides (RFC 4301 4.4.1).  Asked once per flow. */
#ifndef ADIT_BPF_SPD_H
#define ADIT_BPF_SPD_H

#include "tables.h"

/* Beside enum adit_action: the rules were exchanged under the search, so nobody knows.  The packet goes nowhere,
 * and the next one of its flow asks again. */
#define SPD_UNSURE 0xff

struct spd_answer {
	__u32 rule;   /* id */
	__u32 action; /* 0 = nothing known of this policy */
};

/* Is a packet whose port cannot be seen one that this rule means?  Protected or discarded rather than let
 * through: RFC 4301 7 wants later fragments of port-specific traffic to be covered like the first. */
static __always_inline bool port_matches(__u16 min, __u16 max, __u16 port, __u8 opaque, bool lets_pass)
{
	if (min == 0 && max == 65535)
		return true;
	if (opaque & NO_PORTS)
		return false;
	if (opaque & OPAQUE_PORTS)
		return !lets_pass || min > max; /* 65535..0 is OPAQUE itself (RFC 7296 3.13.1) */
	return port >= min && port <= max;
}

static __always_inline bool protocol_matches(__u8 wanted, __u8 protocol, __u8 opaque, bool lets_pass)
{
	if (!wanted)
		return true;
	if (opaque & OPAQUE_PROTOCOL)
		return !lets_pass;
	return wanted == protocol;
}

static __always_inline bool side_matches(const struct adit_addr *addr, const struct adit_addr *mask,
					 const union address *is)
{
	const __u64 *a = (const __u64 *)addr;
	const __u64 *m = (const __u64 *)mask;

	return !(((a[0] ^ is->w[0]) & m[0]) | ((a[1] ^ is->w[1]) & m[1]));
}

static __always_inline bool rule_matches(const struct adit_rule *r, const struct flow_key *k)
{
	bool lets_pass = r->action == ADIT_BYPASS;

	return r->policy == k->policy && r->family == k->family &&
	       side_matches(&r->remote, &r->remote_mask, &k->remote) &&
	       side_matches(&r->local, &r->local_mask, &k->local) &&
	       protocol_matches(r->protocol, k->protocol, k->opaque, lets_pass) &&
	       port_matches(r->local_port_min, r->local_port_max, k->local_port, k->opaque, lets_pass) &&
	       port_matches(r->remote_port_min, r->remote_port_max, k->remote_port, k->opaque, lets_pass);
}

struct spd_scan {
	struct flow_key key;
	struct adit_spd_key at;
	struct spd_answer found;
};

static long spd_try(__u32 position, void *ctx)
{
	struct spd_scan *s = ctx;
	const struct adit_rule *r;

	s->at.position = position;
	r = bpf_map_lookup_elem(&spd, &s->at);
	if (!r) {
		s->found.action = SPD_UNSURE;
		return 1;
	}
	if (!rule_matches(r, &s->key))
		return 0;
	s->found.rule = r->id;
	s->found.action = r->action;
	return 1;
}

__noinline int spd_search(const struct flow_key *key, struct spd_answer *answer)
{
	const struct adit_spd_state *state;
	struct spd_scan s = {};
	__u32 zero = 0, rules;

	if (!key || !answer)
		return 0;
	state = bpf_map_lookup_elem(&spd_state, &zero);
	if (!state)
		return 0;
	s.key = *key;
	s.at.set = state->set & 1;
	rules = s.at.set ? state->rules[1] : state->rules[0];
	if (rules > ADIT_RULES_MAX)
		rules = ADIT_RULES_MAX;
	bpf_loop(rules, spd_try, &s, 0);
	/* No row was missing, but was it this set's length, and were they all of its making? */
	if ((state->set & 1) != s.at.set)
		s.found = (struct spd_answer){.action = SPD_UNSURE};
	*answer = s.found;
	return 0;
}

static __always_inline bool in_range(const struct adit_addr *min, const struct adit_addr *max,
				     const union address *is)
{
	const __u64 *lo = (const __u64 *)min;
	const __u64 *hi = (const __u64 *)max;
	__u64 h = bpf_be64_to_cpu(is->w[0]), l = bpf_be64_to_cpu(is->w[1]);
	__u64 lo_h = bpf_be64_to_cpu(lo[0]), lo_l = bpf_be64_to_cpu(lo[1]);
	__u64 hi_h = bpf_be64_to_cpu(hi[0]), hi_l = bpf_be64_to_cpu(hi[1]);

	return (h > lo_h || (h == lo_h && l >= lo_l)) && (h < hi_h || (h == hi_h && l <= hi_l));
}

static __always_inline bool selects(const struct adit_selector *s, const union address *is, __u16 port,
				    const struct flow_key *k)
{
	return s->family == k->family && in_range(&s->min, &s->max, is) &&
	       protocol_matches(s->protocol, k->protocol, k->opaque, false) &&
	       port_matches(s->port_min, s->port_max, port, k->opaque, false);
}

/* Is the packet inside what the peer left of our selectors (RFC 7296 2.9)? */
static __always_inline bool sa_covers(const struct adit_sa_out *sa, const struct flow_key *k)
{
	bool local = false, remote = false;
	__u32 i;

	for (i = 0; i < ADIT_TS_MAX; i++) {
		if (i < sa->locals && selects(&sa->local_ts[i], &k->local, k->local_port, k))
			local = true;
		if (i < sa->remotes && selects(&sa->remote_ts[i], &k->remote, k->remote_port, k))
			remote = true;
	}
	return local && remote;
}

/* A global function for the verifier's sake: eight range checks multiply the paths of whoever asks. */
__noinline int sa_for(const struct flow_key *key, __u32 rule, struct flow *f)
{
	const struct adit_sa_out *sa = bpf_map_lookup_elem(&sa_out, &rule);

	if (!f || !key)
		return 0;
	f->sa = sa ? sa->index : 0;
	f->narrowed = sa && !sa_covers(sa, key);
	return 0;
}

#endif
