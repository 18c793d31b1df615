/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT rules of nftables and iptables in one shape; nat_nft.c and nat_iptables.c make it, nat.c judges it. */
#ifndef ADIT_NAT_RULES_H
#define ADIT_NAT_RULES_H

#include <net/if.h>
#include <stdint.h>

#include "addr.h"
#include "nat.h"

#define NAT_RANGES_MAX 1024 /* of one condition; more is "not understood" */
#define NAT_WANTED_MAX 16   /* named sets that are asked for */

/* Sorted, without overlap.  The shape is shared with port numbers, which are ::N. */
struct ranges {
	struct addr_range *v;
	unsigned n;
};

enum nat_action {
	NAT_NOTHING,
	NAT_SOURCE, /* the source is rewritten */
	NAT_LEAVE,  /* accept and drop: no rule of this base chain comes after it */
	NAT_RETURN,
	NAT_JUMP,
	NAT_GOTO,
	NAT_ANYWHERE, /* a verdict map whose elements are not known: any chain of the table */
};

/* One of these names; a '*' at the end stands for any rest. */
struct out_cond {
	struct out_cond *next;
	bool negated;
	unsigned n;
	char (*names)[IFNAMSIZ + 1];
};

struct nat_rule {
	int family;  /* AF_INET, AF_INET6; AF_UNSPEC: both */
	bool never;  /* two conditions exclude each other */
	bool xt;     /* nftables, but made by iptables, who should be told instead of nft */
	bool opaque; /* there is a condition that is not understood */
	struct ranges from, to, from_port, to_port;
	uint8_t protocols[32]; /* a bit for each */
	struct out_cond *out;  /* all of them */
	enum nat_action action;
	char target[256]; /* of JUMP and GOTO */
	struct nat_chain *jump;
	bool becomes_known;
	struct addr_range becomes; /* the new source */
	char id[32];		   /* "handle 5", or "number 3" */
	char text[160];		   /* as a person would write it, perhaps shortened */
};

enum nat_maker { NAT_NFT, NAT_IPTABLES }; /* the latter: legacy, with hooks of its own */

struct nat_chain {
	enum nat_maker maker;
	char family[8]; /* "ip", "ip6", "inet" */
	char table[256], name[256];
	bool base; /* of type nat on hook postrouting */
	bool reached;
	struct nat_rule **rules;
	unsigned n;
};

struct nat_set {
	char family[8], table[256], name[256];
};

struct nat_ruleset {
	struct nat_chain **chains; /* sorted once all of one source are there */
	unsigned n;
	struct nat_set wanted[NAT_WANTED_MAX];
	unsigned n_wanted;
};

/* ---- ranges: false, and nothing changed, when there is no memory or there are too many ----------------- */

extern const struct addr_range everything;
bool ranges_add(struct ranges *r, const struct addr_range *one); /* sorted and joined by ranges_sort */
void ranges_sort(struct ranges *r);
bool ranges_invert(struct ranges *r);
bool ranges_meet(struct ranges *r, const struct ranges *with);
void ranges_free(struct ranges *r);
struct addr_range ports_range(unsigned from, unsigned to);

/* ---- building ------------------------------------------------------------------------------ */

struct nat_chain *nat_chain_add(struct nat_ruleset *rs);
/* The last appended is not found before nat_chains_sort. */
void nat_chains_sort(struct nat_ruleset *rs);
struct nat_chain *nat_chain_find(const struct nat_ruleset *rs, enum nat_maker maker, const char *family,
				 const char *table, const char *name);
/* Finds the chains that are jumped to, and marks what can be reached from a base chain. */
void nat_chains_link(struct nat_ruleset *rs);

struct nat_rule *nat_rule_new(void); /* matches all, does nothing */
bool nat_rule_append(struct nat_chain *c, struct nat_rule *r);
void nat_rule_free(struct nat_rule *r);

/* One more condition. */
void nat_want_family(struct nat_rule *r, int family);
/* values is emptied; one of the addresses or ports.  Sorts them. */
void nat_want_ranges(struct nat_rule *r, struct ranges *of_rule, struct ranges *values, bool negated);
/* "tcp", "47"; -1: not known. */
int nat_protocol(const char *word);
void nat_want_protocols(struct nat_rule *r, const uint8_t bits[32], bool negated);
struct out_cond *nat_want_out(struct nat_rule *r, bool negated);
bool out_cond_add(struct out_cond *c, const char *name);
/* The last one is not understood after all. */
void nat_forget_out(struct nat_rule *r);

#endif
