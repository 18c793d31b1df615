/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The flow cache in front of the SPD: per CPU, direct-mapped, exact.
 *
 * Whatever stands in it is void when the generation was raised.  Two flows on one place push each other out,
 * which costs time and never changes an answer.  XDP runs in softirq and TC egress with softirqs off, so an
 * entry is never used by two programs at once.
 */
#ifndef ADIT_BPF_FLOW_H
#define ADIT_BPF_FLOW_H

#include "spd.h"

static __always_inline __u32 flow_place(const struct flow_key *key)
{
	const __u64 *w = (const __u64 *)key;
	__u64 h = 0x9e3779b97f4a7c15ULL;
	__u32 i;

#pragma unroll
	for (i = 0; i < FLOW_KEY_WORDS; i++) {
		h = (h ^ w[i]) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	return h & (FLOWS - 1);
}

static __always_inline bool flow_is(const struct flow *f, const struct flow_key *key)
{
	const __u64 *a = (const __u64 *)&f->key;
	const __u64 *b = (const __u64 *)key;
	__u64 differ = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < FLOW_KEY_WORDS; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static __always_inline __u64 policy_generation(void)
{
	__u32 zero = 0;
	const struct adit_spd_state *rules = bpf_map_lookup_elem(&spd_state, &zero);
	const struct adit_sa_state *sas = bpf_map_lookup_elem(&sa_state, &zero);

	return rules && sas ? (__u64)rules->generation << 32 | sas->generation : 0;
}

/* What the SPD says of a flow.  policy is that of the interface it leaves by, whatever the key says.  An unsure
 * answer is not remembered. */
static __always_inline void flow_classify(struct flow *f, const struct flow_key *key, __u32 policy)
{
	struct spd_answer answer = {};
	struct flow_key at = *key;

	at.policy = policy;
	spd_search(&at, &answer);
	f->rule = answer.rule;
	f->action = answer.action;
	f->sa = 0;
	f->narrowed = 0;
	if (answer.action == ADIT_PROTECT && key->kind != FLOW_IN)
		sa_for(&at, answer.rule, f);
	if (answer.action == SPD_UNSURE)
		f->key.kind = FLOW_NONE;
}

/* The verdict on a packet that leaves or arrives in clear by key->ifindex under key->policy; NULL only if the map is
 * gone. */
static __always_inline struct flow *flow_verdict(const struct flow_key *key)
{
	__u64 generation = policy_generation();
	__u32 place = flow_place(key);
	struct flow *f = bpf_map_lookup_elem(&flows, &place);

	if (!f || (flow_is(f, key) && f->generation == generation))
		return f;
	f->key = *key;
	f->generation = generation;
	f->fib_ns = 0;
	flow_classify(f, key, key->policy);
	return f;
}

/* What becomes of a packet in clear, whichever way it goes, that need not be protected. */
static __always_inline __u32 clear_verdict(const struct flow *f)
{
	switch (f->action) {
	case ADIT_BYPASS:
		return ADIT_PASS_RULE;
	case ADIT_REST_BYPASS:
		return ADIT_PASS_CLEAR;
	case ADIT_DISCARD:
		return ADIT_DROP_RULE;
	case ADIT_REST_DISCARD:
		return ADIT_DROP_UNMATCHED;
	case SPD_UNSURE:
		return ADIT_DROP_RULES_CHANGE;
	default:
		return ADIT_DROP_NO_POLICY;
	}
}

#endif
