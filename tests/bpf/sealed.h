/* SPDX-License-Identifier: BSD-2-Clause */
/* An envelope read back by code that shares nothing with bpf/, field by field from the RFCs. */
#ifndef TEST_SEALED_H
#define TEST_SEALED_H

#include "bed.h"

/* What the envelope of this SA around this packet must be. */
struct sealed_want {
	const struct adit_sa_out *sa;
	const uint8_t *inner; /* IP packet as it should stand inside */
	size_t inner_len;
	uint8_t dmac[6], smac[6];
	uint16_t vlan, vlan_type; /* id 0: no tag */
	uint32_t slot;
	uint8_t flags;
	bool df; /* outer, IPv4 */
};

/* Fails the test with what is wrong. */
void expect_sealed(const struct result *r, const struct sealed_want *want);
/* To the gateway on wan0, DF as the SA and the inner packet say. */
struct sealed_want sealed_by_wan(const struct adit_sa_out *sa, const struct frame *f);
struct sealed_want sealed_by_kernel(const struct adit_sa_out *sa, const struct frame *f);

#endif
