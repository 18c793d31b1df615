/* SPDX-License-Identifier: BSD-2-Clause */
/* Traffic selectors: RFC 7296 2.9 (narrowing) and 3.13 (format). */
#ifndef ADIT_IKE_V2_TS_H
#define ADIT_IKE_V2_TS_H

#include "message.h"

#define TS_PARSE_MAX 32 /* selectors of a peer that we look at */
#define TS_TEXT_MAX  200

struct ts_list {
	unsigned n;
	struct ike_ts ts[TS_PARSE_MAX];
};

int ts_parse(struct span body, struct ts_list *ret); /* -EBADMSG */
void ts_write(struct chain *c, uint8_t payload, const struct ike_ts *ts, unsigned n);

bool ts_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *ret);
bool ts_contains(const struct ike_ts *outer, const struct ike_ts *inner);
/* Every one of inner lies inside one of outer. */
bool ts_list_contains(const struct ike_ts *outer, unsigned n_outer, const struct ike_ts *inner,
		      unsigned n_inner);
/* What both lists have, in their order, without parts of others, at most max; the number. */
unsigned ts_narrow(const struct ts_list *theirs, const struct ike_ts *ours, unsigned n_ours,
		   struct ike_ts *ret, unsigned max);
bool ts_list_equal(const struct ike_ts *a, unsigned n_a, const struct ike_ts *b, unsigned n_b);

struct ike_ts ts_of_host(const struct addr *a, uint8_t proto, uint16_t port);

void ts_text(const struct ike_ts *ts, unsigned n, char buf[TS_TEXT_MAX]);

#endif
