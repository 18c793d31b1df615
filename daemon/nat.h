/* SPDX-License-Identifier: BSD-2-Clause */
/* Can a source NAT rule of this host take protected packets away from policy?
 *
 * Policy is decided after NAT, as with the kernel's own IPsec: a packet whose source was rewritten matches no
 * rule any more.  Nothing here asks the host; natwatch.h does.
 *
 *	nat_ruleset_new(&rs);
 *	nat_add_nft(rs, json, len, NULL, 0);      and nat_add_iptables for each family of the old kind
 *	nat_judge(rs, conf, found, self);
 *	nat_ruleset_free(rs);
 *
 * What is not understood in a rule (a mark, a set whose elements are not known) counts as "can match". */
#ifndef ADIT_NAT_H
#define ADIT_NAT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "process.h"

struct nat_ruleset;

int nat_ruleset_new(struct nat_ruleset **ret);
void nat_ruleset_free(struct nat_ruleset *rs); /* takes NULL */

/* The output of `nft -j -a -t list table ...`, several of them in a row.  Named sets have no elements there: sets
 * is the output of `nft -j list set ...` for those that nat_wanted_set named, or NULL.  -EBADMSG: that is not what
 * it is. */
int nat_add_nft(struct nat_ruleset *rs, const char *json, size_t len, const char *sets, size_t sets_len);
/* The output of iptables-legacy-save (AF_INET) or ip6tables-legacy-save (AF_INET6) of table nat. */
int nat_add_iptables(struct nat_ruleset *rs, int family, const char *save, size_t len);

/* What to give to `nft -j -f -` so that it lists the named set number i that the verdict depends on; NULL: there
 * are no more, or no memory.  To be freed.  (One by one: nft 1.0 does not find two in one go.) */
char *nat_wanted_set(const struct nat_ruleset *rs, unsigned i);

struct nat_finding {
	char name[128]; /* the same at the next look, and no other one's */
	char text[WARNING_TEXT_SIZE];
};

typedef void nat_found(void *self, const struct nat_finding *f);

/* Every rule that can rewrite the source of packets that a permit rule of the outgoing interface's policy wants
 * protected, once for each interface. */
void nat_judge(const struct nat_ruleset *rs, const struct conf *conf, nat_found *found, void *self);

#endif
