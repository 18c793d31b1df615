// SPDX-License-Identifier: BSD-2-Clause
#include "nat_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- ranges -------------------------------------------------------------------------------- */

const struct addr_range everything = {.max.b = {[0 ... 15] = 0xff}};

static void step(struct addr *a, int by)
{
	int i = sizeof(a->b) - 1;

	for (a->b[i] += by; i && a->b[i] == (by > 0 ? 0x00 : 0xff); a->b[i] += by)
		i--;
}

static struct addr after(struct addr a)
{
	step(&a, 1);
	return a;
}

static struct addr before(struct addr a)
{
	step(&a, -1);
	return a;
}

bool ranges_add(struct ranges *r, const struct addr_range *one)
{
	struct addr_range *v;

	if (r->n == NAT_RANGES_MAX)
		return false;
	if ((r->n & (r->n - 1)) == 0) {
		v = realloc(r->v, (r->n ? 2 * r->n : 1) * sizeof(*v));
		if (!v)
			return false;
		r->v = v;
	}
	r->v[r->n++] = *one;
	return true;
}

static int by_min(const void *a, const void *b)
{
	const struct addr_range *x = a, *y = b;

	return addr_cmp(&x->min, &y->min);
}

static bool touches(const struct addr_range *low, const struct addr_range *high)
{
	struct addr next = after(low->max);

	return addr_cmp(&high->min, &low->max) <= 0 || addr_eq(&high->min, &next);
}

void ranges_sort(struct ranges *r)
{
	unsigned i, n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_min);
	for (i = 0; i < r->n; i++)
		if (n && touches(&r->v[n - 1], &r->v[i])) {
			if (addr_cmp(&r->v[i].max, &r->v[n - 1].max) > 0)
				r->v[n - 1].max = r->v[i].max;
		} else {
			r->v[n++] = r->v[i];
		}
	r->n = n;
}

bool ranges_invert(struct ranges *r)
{
	struct addr_range rest = everything;
	struct ranges out = {0};
	bool more = true;
	unsigned i;

	for (i = 0; i < r->n && more; i++) {
		struct addr_range gap = {.min = rest.min};

		if (addr_cmp(&r->v[i].min, &rest.min) > 0) {
			gap.max = before(r->v[i].min);
			if (!ranges_add(&out, &gap))
				goto fail;
		}
		more = addr_cmp(&r->v[i].max, &everything.max) < 0;
		rest.min = after(r->v[i].max);
	}
	if (more && !ranges_add(&out, &rest))
		goto fail;
	ranges_free(r);
	*r = out;
	return true;
fail:
	ranges_free(&out);
	return false;
}

bool ranges_meet(struct ranges *r, const struct ranges *with)
{
	struct ranges out = {0};
	struct addr_range both;
	unsigned i = 0, j = 0;

	while (i < r->n && j < with->n) {
		if (range_intersect(&r->v[i], &with->v[j], &both) && !ranges_add(&out, &both)) {
			ranges_free(&out);
			return false;
		}
		if (addr_cmp(&r->v[i].max, &with->v[j].max) < 0)
			i++;
		else
			j++;
	}
	ranges_free(r);
	*r = out;
	return true;
}

void ranges_free(struct ranges *r)
{
	free(r->v);
	*r = (struct ranges){0};
}

struct addr_range ports_range(unsigned from, unsigned to)
{
	struct addr_range r = {0};

	r.min.b[14] = (uint8_t)(from >> 8);
	r.min.b[15] = (uint8_t)from;
	r.max.b[14] = (uint8_t)(to >> 8);
	r.max.b[15] = (uint8_t)to;
	return r;
}

/* ---- chains -------------------------------------------------------------------------------- */

int nat_ruleset_new(struct nat_ruleset **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void nat_ruleset_free(struct nat_ruleset *rs)
{
	unsigned i, j;

	if (!rs)
		return;
	for (i = 0; i < rs->n; i++) {
		for (j = 0; j < rs->chains[i]->n; j++)
			nat_rule_free(rs->chains[i]->rules[j]);
		free(rs->chains[i]->rules);
		free(rs->chains[i]);
	}
	free(rs->chains);
	free(rs);
}

/* Appends to an array that grows by doubling. */
static bool append(void *array, unsigned *n, void *item)
{
	void **v, **more;

	memcpy(&v, array, sizeof(v));
	if ((*n & (*n - 1)) == 0) {
		more = realloc(v, (*n ? 2 * *n : 1) * sizeof(*more));
		if (!more)
			return false;
		v = more;
		memcpy(array, &v, sizeof(v));
	}
	v[(*n)++] = item;
	return true;
}

struct nat_chain *nat_chain_add(struct nat_ruleset *rs)
{
	struct nat_chain *c = calloc(1, sizeof(*c));

	if (c && !append(&rs->chains, &rs->n, c)) {
		free(c);
		return NULL;
	}
	return c;
}

static int by_name(const void *a, const void *b)
{
	const struct nat_chain *x = *(struct nat_chain *const *)a, *y = *(struct nat_chain *const *)b;
	int d = (int)x->maker - (int)y->maker;

	d = d ? d : strcmp(x->family, y->family);
	d = d ? d : strcmp(x->table, y->table);
	return d ? d : strcmp(x->name, y->name);
}

void nat_chains_sort(struct nat_ruleset *rs)
{
	if (rs->n)
		qsort(rs->chains, rs->n, sizeof(*rs->chains), by_name);
}

struct nat_chain *nat_chain_find(const struct nat_ruleset *rs, enum nat_maker maker, const char *family,
				 const char *table, const char *name)
{
	struct nat_chain key = {.maker = maker}, *k = &key, **found;

	snprintf(key.family, sizeof(key.family), "%s", family);
	snprintf(key.table, sizeof(key.table), "%s", table);
	snprintf(key.name, sizeof(key.name), "%s", name);
	found = rs->n ? bsearch(&k, rs->chains, rs->n, sizeof(*rs->chains), by_name) : NULL;
	return found ? *found : NULL;
}

static bool same_table(const struct nat_chain *a, const struct nat_chain *b)
{
	return a->maker == b->maker && !strcmp(a->family, b->family) && !strcmp(a->table, b->table);
}

static bool mark(struct nat_chain *c)
{
	bool news = c && !c->reached;

	if (news)
		c->reached = true;
	return news;
}

/* What c leads to; whether that was news. */
static bool reach_from(struct nat_ruleset *rs, struct nat_chain *c)
{
	bool news = false;
	unsigned i, j;

	for (i = 0; i < c->n; i++) {
		news |= mark(c->rules[i]->jump);
		for (j = 0; c->rules[i]->action == NAT_ANYWHERE && j < rs->n; j++)
			if (!rs->chains[j]->base && same_table(c, rs->chains[j]))
				news |= mark(rs->chains[j]);
	}
	return news;
}

void nat_chains_link(struct nat_ruleset *rs)
{
	unsigned i, j, deep;
	bool news = true;

	for (i = 0; i < rs->n; i++) {
		struct nat_chain *c = rs->chains[i];

		for (j = 0; j < c->n; j++)
			if (*c->rules[j]->target)
				c->rules[j]->jump = nat_chain_find(rs, c->maker, c->family, c->table,
								   c->rules[j]->target);
		c->reached = c->base;
	}
	/* The kernel jumps no deeper than 16. */
	for (deep = 0; deep < 16 && news; deep++)
		for (news = false, i = 0; i < rs->n; i++)
			if (rs->chains[i]->reached)
				news |= reach_from(rs, rs->chains[i]);
}

/* ---- rules --------------------------------------------------------------------------------- */

struct nat_rule *nat_rule_new(void)
{
	struct nat_rule *r = calloc(1, sizeof(*r));
	struct addr_range ports = ports_range(0, UINT16_MAX);

	if (!r)
		return NULL;
	memset(r->protocols, 0xff, sizeof(r->protocols));
	if (ranges_add(&r->from, &everything) && ranges_add(&r->to, &everything) &&
	    ranges_add(&r->from_port, &ports) && ranges_add(&r->to_port, &ports))
		return r;
	nat_rule_free(r);
	return NULL;
}

bool nat_rule_append(struct nat_chain *c, struct nat_rule *r)
{
	return append(&c->rules, &c->n, r);
}

void nat_rule_free(struct nat_rule *r)
{
	if (!r)
		return;
	while (r->out)
		nat_forget_out(r);
	ranges_free(&r->from);
	ranges_free(&r->to);
	ranges_free(&r->from_port);
	ranges_free(&r->to_port);
	free(r);
}

void nat_want_family(struct nat_rule *r, int family)
{
	if (r->family && r->family != family)
		r->never = true;
	r->family = family;
}

void nat_want_ranges(struct nat_rule *r, struct ranges *of_rule, struct ranges *values, bool negated)
{
	ranges_sort(values);
	if ((negated && !ranges_invert(values)) || !ranges_meet(of_rule, values))
		r->opaque = true;
	ranges_free(values);
}

int nat_protocol(const char *word)
{
	/* What nft and iptables write; looking into /etc/protocols for each rule would take longer than all the rest. */
	static const struct {
		const char *word;
		int number;
	} known[] = {
		{"tcp",	6	 },
		{"udp",	17 },
		  {"icmp",	   1  },
		 {"icmpv6",    58 },
		  {"ipv6-icmp", 58 },
		{"gre",	47 },
		{"esp",	50 },
		  {"ah",	 51 },
		 {"sctp",	  132},
		  {"igmp",	   2  },
		{"dccp",	 33 },
		{"udplite",   136},
		  {"comp",	   108},
		 {"ipcomp",    108},
		  {"ipip",	   94 },
		{"ipencap",   4  },
		{"ipv4",	 4  },
		  {"ipv6",	   41 },
		 {"ospf",	  89 },
		  {"vrrp",	   112},
		{"pim",	103},
		{"l2tp",	 115},
	};
	unsigned long n;
	char *end;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(word, known[i].word) == 0)
			return known[i].number;
	n = strtoul(word, &end, 10);
	return end != word && !*end && n < 256 ? (int)n : -1;
}

void nat_want_protocols(struct nat_rule *r, const uint8_t bits[32], bool negated)
{
	unsigned i;

	for (i = 0; i < sizeof(r->protocols); i++)
		r->protocols[i] &= negated ? (uint8_t)~bits[i] : bits[i];
}

struct out_cond *nat_want_out(struct nat_rule *r, bool negated)
{
	struct out_cond *c = calloc(1, sizeof(*c));

	if (!c) {
		r->opaque = true;
		return NULL;
	}
	c->negated = negated;
	c->next = r->out;
	r->out = c;
	return c;
}

void nat_forget_out(struct nat_rule *r)
{
	struct out_cond *c = r->out;

	if (!c)
		return;
	r->out = c->next;
	free(c->names);
	free(c);
	r->opaque = true;
}

bool out_cond_add(struct out_cond *c, const char *name)
{
	void *names = reallocarray(c->names, c->n + 1, sizeof(*c->names));

	if (!names)
		return false;
	c->names = names;
	snprintf(c->names[c->n++], sizeof(*c->names), "%s", name);
	return true;
}
