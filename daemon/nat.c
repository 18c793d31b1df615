// SPDX-License-Identifier: BSD-2-Clause
/* A selector (what one permit rule wants protected on one interface) is sent through the chains on hook
 * postrouting as the kernel would send its packets, all at once: as boxes of local and remote addresses, from
 * which a rule with a verdict cuts out what it takes.  What meets a source NAT rule is a finding. */
#include "nat.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "nat_rules.h"

#define BOXES_MAX    64
#define DEEP_MAX     16	     /* as the kernel */
#define WORK_MAX     5000000 /* looks of a selector at a rule: some tenths of a second */
#define WORK_WALK    20	     /* a chain costs as much as so many */
#define REMEDIES_MAX 3	     /* in one text */

struct box {
	struct addr_range local, remote;
};

struct boxes {
	struct box v[BOXES_MAX];
	unsigned n;
	bool overflow; /* more was to be added */
};

/* What is told of one rule on one interface. */
struct account {
	const struct nat_chain *base, *chain;
	const struct nat_rule *rule;
	bool sure; /* else only "may" */
	const struct conf_acl_rule *first[REMEDIES_MAX], *last;
	unsigned selectors;
	struct account *next;
};

struct judge {
	const struct nat_ruleset *rs;
	const struct conf_interface *iface;
	const struct conf_acl_rule *selector;
	const struct nat_chain *base;
	struct account *accounts; /* of this interface */
	unsigned long work;
	bool no_memory;
};

/* ---- boxes --------------------------------------------------------------------------------- */

static void add_box(struct boxes *b, const struct addr_range *local, const struct addr_range *remote)
{
	if (b->n == BOXES_MAX)
		b->overflow = true;
	else
		b->v[b->n++] = (struct box){*local, *remote};
}

/* The first that does not end before r begins. */
static unsigned first_at(const struct ranges *list, const struct addr_range *r)
{
	unsigned low = 0, high = list->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (addr_cmp(&list->v[middle].max, &r->min) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void meet_remote(struct boxes *out, const struct addr_range *local, const struct addr_range *remote,
			const struct ranges *to)
{
	struct addr_range both;
	unsigned i;

	for (i = first_at(to, remote);
	     i < to->n && range_intersect(&to->v[i], remote, &both) && !out->overflow; i++)
		add_box(out, local, &both);
}

/* The part of s with addresses that the rule wants; all of s when that has too many pieces. */
static void meet(const struct boxes *s, const struct nat_rule *r, struct boxes *out)
{
	struct addr_range both;
	unsigned b, i;

	out->n = 0;
	out->overflow = false;
	for (b = 0; b < s->n; b++)
		for (i = first_at(&r->from, &s->v[b].local);
		     i < r->from.n && range_intersect(&r->from.v[i], &s->v[b].local, &both) && !out->overflow;
		     i++)
			meet_remote(out, &both, &s->v[b].remote, &r->to);
	if (out->overflow)
		*out = *s;
}

/* s without addresses that the rule wants; s stays as it is when that has too many pieces. */
static void cut(struct boxes *s, const struct ranges *from, const struct ranges *to)
{
	struct boxes out = {0};
	struct ranges not_from = {0}, not_to = {0};
	struct addr_range both;
	unsigned b, i;

	for (i = 0; i < from->n; i++)
		if (!ranges_add(&not_from, &from->v[i]))
			goto done;
	for (i = 0; i < to->n; i++)
		if (!ranges_add(&not_to, &to->v[i]))
			goto done;
	if (!ranges_invert(&not_from) || !ranges_invert(&not_to))
		goto done;
	for (b = 0; b < s->n; b++) {
		const struct box *x = &s->v[b];

		for (i = first_at(&not_from, &x->local);
		     i < not_from.n && range_intersect(&not_from.v[i], &x->local, &both); i++)
			add_box(&out, &both, &x->remote);
		for (i = first_at(from, &x->local);
		     i < from->n && range_intersect(&from->v[i], &x->local, &both); i++)
			meet_remote(&out, &both, &x->remote, &not_to);
	}
	if (!out.overflow)
		*s = out;
done:
	ranges_free(&not_from);
	ranges_free(&not_to);
}

static void add_boxes(struct boxes *to, const struct boxes *more)
{
	unsigned i;

	for (i = 0; i < more->n; i++)
		add_box(to, &more->v[i].local, &more->v[i].remote);
}

/* ---- a selector at a rule -------------------------------------------------------------------- */

enum fit { NO, PART, WHOLE };

static bool is_name(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return strncmp(pattern, name, len - 1) == 0;
	return strcmp(pattern, name) == 0;
}

static bool goes_out(const struct nat_rule *r, const char *name)
{
	const struct out_cond *c;
	unsigned i;

	for (c = r->out; c; c = c->next) {
		bool found = false;

		for (i = 0; i < c->n && !found; i++)
			found = is_name(c->names[i], name);
		if (found == c->negated)
			return false;
	}
	return true;
}

static enum fit fits_protocol(const struct nat_rule *r, uint8_t protocol)
{
	uint8_t all = 0xff, any = 0;
	size_t i;

	if (protocol)
		return r->protocols[protocol / 8] & 1u << protocol % 8 ? WHOLE : NO;
	for (i = 0; i < sizeof(r->protocols); i++) {
		all &= r->protocols[i];
		any |= r->protocols[i];
	}
	return all == 0xff ? WHOLE : any ? PART : NO;
}

static enum fit fits_ports(const struct ranges *of_rule, const uint16_t ports[2])
{
	struct addr_range want = ports_range(ports[0], ports[1]);
	unsigned i = first_at(of_rule, &want);

	if (i == of_rule->n || addr_cmp(&of_rule->v[i].min, &want.max) > 0)
		return NO;
	return addr_cmp(&of_rule->v[i].min, &want.min) <= 0 && addr_cmp(&of_rule->v[i].max, &want.max) >= 0
		       ? WHOLE
		       : PART;
}

/* All but the addresses. */
static enum fit fits(const struct judge *j, const struct nat_rule *r)
{
	const struct conf_acl_rule *s = j->selector;
	enum fit all[3], least = r->opaque ? PART : WHOLE;
	size_t i;

	if (r->never || (r->family && r->family != s->family) || !goes_out(r, j->iface->name))
		return NO;
	all[0] = fits_protocol(r, s->protocol);
	all[1] = fits_ports(&r->from_port, s->local_port);
	all[2] = fits_ports(&r->to_port, s->remote_port);
	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		least = all[i] < least ? all[i] : least;
	return least;
}

/* The new source is the old rule's as well: whatever is rewritten stays protected. */
static bool stays_inside(const struct nat_rule *r, const struct conf_acl_rule *s)
{
	struct addr zero = {0}, all4_min = addr_from_v4(&zero);
	struct addr_range all4;

	if (r->becomes_known)
		return range_contains(&s->local, &r->becomes.min) &&
		       range_contains(&s->local, &r->becomes.max);
	prefix_range(&all4_min, 0, &all4);
	return range_contains(&s->local, s->family == AF_INET ? &all4.min : &everything.min) &&
	       range_contains(&s->local, s->family == AF_INET ? &all4.max : &everything.max);
}

static void note(struct judge *j, const struct nat_chain *c, const struct nat_rule *r, bool sure)
{
	struct account *a;

	if (stays_inside(r, j->selector))
		return;
	for (a = j->accounts; a; a = a->next)
		if (a->rule == r && a->base == j->base)
			break;
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a) {
			j->no_memory = true;
			return;
		}
		*a = (struct account){.base = j->base, .chain = c, .rule = r, .next = j->accounts};
		j->accounts = a;
	}
	a->sure |= sure;
	if (a->last == j->selector)
		return; /* met once more, by another jump */
	if (a->selectors < REMEDIES_MAX)
		a->first[a->selectors] = j->selector;
	a->selectors++;
	a->last = j->selector;
}

/* ---- a selector's way -------------------------------------------------------------------------- */

/* A verdict map that is not known: every rule of the table's other chains may be met. */
static void walk_anywhere(struct judge *j, const struct nat_chain *c, const struct boxes *s)
{
	struct boxes hit;
	unsigned i, k;

	for (i = 0; i < j->rs->n; i++) {
		const struct nat_chain *other = j->rs->chains[i];

		if (other->maker != c->maker || other->base || strcmp(other->family, c->family) ||
		    strcmp(other->table, c->table))
			continue;
		for (k = 0; k < other->n && j->work < WORK_MAX; k++, j->work++) {
			if (other->rules[k]->action != NAT_SOURCE || fits(j, other->rules[k]) == NO)
				continue;
			meet(s, other->rules[k], &hit);
			if (hit.n)
				note(j, other, other->rules[k], false);
		}
	}
}

static void walk(struct judge *j, const struct nat_chain *c, struct boxes *s, bool sure, unsigned deep);

/* What of hit comes back from the chain that r leads to. */
static void visit(struct judge *j, const struct nat_rule *r, struct boxes *hit, bool sure, unsigned deep)
{
	if (r->jump && deep < DEEP_MAX)
		walk(j, r->jump, hit, sure, deep + 1);
}

/* hit is the part of s that r matches, wholly or perhaps; back: what leaves this chain for its caller. */
static void act(struct judge *j, const struct nat_chain *c, const struct nat_rule *r, struct boxes *hit,
		struct boxes *s, struct boxes *back, bool sure, unsigned deep)
{
	bool whole = fits(j, r) == WHOLE && !hit->overflow;

	switch (r->action) {
	case NAT_NOTHING:
		return;
	case NAT_ANYWHERE:
		walk_anywhere(j, c, hit);
		return;
	case NAT_SOURCE:
		note(j, c, r, sure && !r->opaque);
		break;
	case NAT_LEAVE:
		break;
	case NAT_RETURN:
		if (whole)
			add_boxes(back, hit);
		break;
	case NAT_JUMP:
		visit(j, r, hit, sure && whole, deep);
		if (whole && r->jump) {
			cut(s, &r->from, &r->to);
			add_boxes(s, hit);
		}
		return;
	case NAT_GOTO:
		visit(j, r, hit, sure && whole, deep);
		add_boxes(back, hit);
		break;
	}
	if (whole)
		cut(s, &r->from, &r->to);
}

/* Leaves in s what comes back to the caller. */
static void walk(struct judge *j, const struct nat_chain *c, struct boxes *s, bool sure, unsigned deep)
{
	struct boxes back, hit;
	const struct boxes all = *s;
	unsigned i;

	back.n = 0;
	back.overflow = false;
	j->work += WORK_WALK;
	for (i = 0; i < c->n && s->n && j->work < WORK_MAX; i++) {
		j->work++;
		if (c->rules[i]->action == NAT_NOTHING)
			continue;
		meet(s, c->rules[i], &hit); /* first: addresses tell most rules apart */
		if (hit.n && fits(j, c->rules[i]) != NO)
			act(j, c, c->rules[i], &hit, s, &back, sure, deep);
	}
	add_boxes(&back, s);
	*s = back.overflow || s->overflow ? all : back;
	s->overflow = false;
}

/* What the permit rule is left with by the deny rules in front of it. */
static void begin(const struct conf *conf, const struct conf_rule *rule, struct boxes *s)
{
	const struct conf_acl_rule *m = rule->match, *d;
	const struct conf_rule *r = conf->rules + rule->policy->first_rule;

	add_box(s, &m->local, &m->remote);
	for (; r < rule; r++) {
		struct ranges from = {0}, to = {0};

		d = r->match;
		if (d->permit || (d->protocol && d->protocol != m->protocol) || d->local_port[0] ||
		    d->remote_port[0] || d->local_port[1] != UINT16_MAX || d->remote_port[1] != UINT16_MAX)
			continue;
		if (ranges_add(&from, &d->local) && ranges_add(&to, &d->remote))
			cut(s, &from, &to);
		ranges_free(&from);
		ranges_free(&to);
	}
}

static void judge_selector(struct judge *j, const struct conf *conf, const struct conf_rule *rule)
{
	struct boxes all = {0}, s;
	unsigned i;

	j->selector = rule->match;
	begin(conf, rule, &all);
	j->work += rule->policy->n_rules / 8;
	for (i = 0; i < j->rs->n; i++) {
		j->base = j->rs->chains[i];
		if (!j->base->base)
			continue;
		/* Each base chain by itself: an accept in one does not keep the next from rewriting. */
		s = all;
		walk(j, j->base, &s, true, 0);
	}
}

/* ---- words ------------------------------------------------------------------------------------- */

struct text {
	char *buf;
	size_t size;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	size_t n = strlen(t->buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->buf + n, t->size - n, fmt, ap);
	va_end(ap);
}

static bool any_port(const uint16_t port[2])
{
	return port[0] == 0 && port[1] == UINT16_MAX;
}

static void say_port(struct text *t, const char *word, const uint16_t port[2], char between)
{
	if (any_port(port))
		return;
	say(t, " %s %u", word, port[0]);
	if (port[1] != port[0])
		say(t, "%c%u", between, port[1]);
}

static void say_nft(struct text *t, const struct account *a, const struct conf_acl_rule *s)
{
	const char *ip = s->family == AF_INET ? "ip" : "ip6";
	char local[RANGE_STRLEN], remote[RANGE_STRLEN];

	say(t, "nft insert rule %s %s %s %s saddr %s %s daddr %s", a->base->family, a->base->table,
	    a->base->name, ip, range_str(&s->local, local), ip, range_str(&s->remote, remote));
	if (s->protocol)
		say(t, " meta l4proto %u", s->protocol);
	say_port(t, "th sport", s->local_port, '-');
	say_port(t, "th dport", s->remote_port, '-');
	say(t, " accept");
}

static void say_iptables(struct text *t, const struct account *a, const struct conf_acl_rule *s)
{
	bool local_prefix = range_prefix_len(&s->local) >= 0,
	     remote_prefix = range_prefix_len(&s->remote) >= 0;
	char local[RANGE_STRLEN], remote[RANGE_STRLEN];

	say(t, "ip%stables-%s -t nat -I %s", s->family == AF_INET ? "" : "6",
	    a->base->maker == NAT_IPTABLES ? "legacy" : "nft", a->base->name);
	if (!local_prefix || !remote_prefix)
		say(t, " -m iprange");
	say(t, " %s %s %s %s", local_prefix ? "-s" : "--src-range", range_str(&s->local, local),
	    remote_prefix ? "-d" : "--dst-range", range_str(&s->remote, remote));
	if (s->protocol)
		say(t, " -p %u", s->protocol);
	say_port(t, "--sport", s->local_port, ':');
	say_port(t, "--dport", s->remote_port, ':');
	say(t, " -j ACCEPT");
}

/* iptables should be told of what iptables made; it finds its chains in table nat only. */
static bool is_iptables(const struct account *a)
{
	return a->base->maker == NAT_IPTABLES ||
	       (a->rule->xt && strcmp(a->base->table, "nat") == 0 &&
		strcmp(a->base->name, "POSTROUTING") == 0 && strcmp(a->base->family, "inet"));
}

/* With "unmatched drop" the rewritten packets go nowhere. */
static void say_what(struct text *t, const struct judge *j, const struct account *a)
{
	bool drop = j->iface->policy->unmatched == CONF_DROP;

	say(t,
	    "%s: %s rule %s %s %s %s (%s) %s the source of protected packets before policy sees them, and "
	    "then they ",
	    j->iface->name, a->base->maker == NAT_IPTABLES ? "iptables" : "nftables", a->chain->family,
	    a->chain->table, a->chain->name, a->rule->id, a->rule->text,
	    a->sure ? "rewrites" : "may rewrite");
	say(t,
	    "%s; let them pass in front of it: ", drop ? "match no rule and are dropped" : "leave in clear");
}

/* A command that does not fit is left out whole. */
static void say_remedies(struct text *t, const struct account *a)
{
	unsigned i, said = 0;

	for (i = 0; i < a->selectors && i < REMEDIES_MAX; i++) {
		size_t was = strlen(t->buf);

		say(t, "%s", said ? "; " : "");
		(is_iptables(a) ? say_iptables : say_nft)(t, a, a->first[i]);
		if (t->size - strlen(t->buf) < 80) {
			t->buf[was] = '\0';
			break;
		}
		said++;
	}
	if (said < a->selectors)
		say(t, "%sthe same for %u more permit rules of the policy", said ? "; and " : "",
		    a->selectors - said);
}

static void tell(const struct judge *j, const struct account *a, nat_found *found, void *self)
{
	struct nat_finding f = {0};
	struct text t = {f.text, sizeof(f.text)}, name = {f.name, sizeof(f.name)};

	say(&name, "%s %s %s %s %s %s", j->iface->name, a->rule->id,
	    a->base->maker == NAT_IPTABLES ? "iptables" : "", a->base->family, a->base->name, a->base->table);
	say_what(&t, j, a);
	say_remedies(&t, a);
	found(self, &f);
}

static void tell_all(struct judge *j, nat_found *found, void *self)
{
	struct account *a;

	while ((a = j->accounts)) {
		j->accounts = a->next;
		tell(j, a, found, self);
		free(a);
	}
}

/* ---- verbs ------------------------------------------------------------------------------------- */

static void judge_interface(struct judge *j, const struct conf *conf, nat_found *found, void *self)
{
	const struct conf_policy *p = j->iface->policy;
	size_t i;

	for (i = p->first_rule; i < p->first_rule + p->n_rules && j->work < WORK_MAX; i++)
		if (conf->rules[i].match->permit)
			judge_selector(j, conf, &conf->rules[i]);
	tell_all(j, found, self);
}

void nat_judge(const struct nat_ruleset *rs, const struct conf *conf, nat_found *found, void *self)
{
	struct nat_finding f = {.name = "too much"};
	struct judge j = {.rs = rs};
	size_t i;

	for (i = 0; i < conf->n_interfaces; i++) {
		j.iface = conf->interfaces[i];
		if (j.iface->role == CONF_OUTSIDE)
			judge_interface(&j, conf, found, self);
	}
	if (j.work < WORK_MAX && !j.no_memory)
		return;
	snprintf(f.text, sizeof(f.text),
		 "there are too many NAT rules and policy rules to compare them all: whether "
		 "another one takes protected packets away from policy is not known");
	found(self, &f);
}
