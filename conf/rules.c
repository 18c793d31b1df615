// SPDX-License-Identifier: BSD-2-Clause
#include "rules.h"

#include <adit/maps.h>
#include <stdlib.h>
#include <string.h>

static bool count_rules(struct parse *p, size_t *ret)
{
	const struct conf *c = p->conf;
	size_t i, j, n = 0;

	for (i = 0; i < c->n_policies; i++) {
		const struct conf_policy *policy = c->policies[i];

		for (j = 0; j < policy->n_entries; j++) {
			n += policy->entries[j]->acl ? policy->entries[j]->acl->n_rules : 0;
			if (n > CONF_RULES_MAX) {
				diag_error(p->diag, policy->entries[j]->at.acl,
					   "with this acl the policies have more than %u rules",
					   CONF_RULES_MAX);
				return false;
			}
		}
	}
	*ret = n;
	return true;
}

/* FNV-1a: any even spread would do, but it must never change, or a new version renames every rule. */
static uint32_t name_id(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h ? h : 1;
}

static int by_id(const void *a, const void *b)
{
	const struct conf_rule *x = *(const struct conf_rule *const *)a,
			       *y = *(const struct conf_rule *const *)b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Two names of one id: the later name moves up to the next free one. */
static void make_unique(struct parse *p)
{
	size_t i, n = p->conf->n_rules;
	bool wrapped = n > 1;
	struct conf_rule **v;

	v = parse_alloc(p, (n ? n : 1) * sizeof(*v));
	if (!v)
		return;
	for (i = 0; i < n; i++)
		v[i] = &p->conf->rules[i];
	while (wrapped) {
		wrapped = false;
		qsort(v, n, sizeof(*v), by_id);
		for (i = 1; i < n && !wrapped; i++) {
			if (v[i]->id > v[i - 1]->id)
				continue;
			wrapped = v[i - 1]->id == UINT32_MAX;
			v[i]->id = wrapped ? 1 : v[i - 1]->id + 1;
		}
	}
	free(v);
}

static bool has_id(const struct conf *c, size_t n, uint32_t id)
{
	while (n--)
		if (c->policies[n]->id == id)
			return true;
	return false;
}

/* Of two policies with one id, which is as good as impossible, the later one takes the next. */
static void number_policies(struct conf *c)
{
	size_t i;

	for (i = 0; i < c->n_policies; i++) {
		uint32_t id = name_id(c->policies[i]->name);

		while (!id || has_id(c, i, id))
			id++;
		c->policies[i]->id = id;
	}
}

bool rules_flatten(struct parse *p)
{
	struct conf *c = p->conf;
	size_t i, j, k, n;

	number_policies(c);
	if (!count_rules(p, &n))
		return false;
	c->rules = parse_alloc(p, (n ? n : 1) * sizeof(*c->rules));
	if (!c->rules)
		return false;
	for (i = 0; i < c->n_policies; i++) {
		struct conf_policy *policy = c->policies[i];

		policy->first_rule = c->n_rules;
		for (j = 0; j < policy->n_entries; j++) {
			const struct conf_entry *e = policy->entries[j];

			for (k = 0; e->acl && k < e->acl->n_rules; k++) {
				struct conf_rule *r = &c->rules[c->n_rules++];

				r->policy = policy;
				r->entry = e;
				r->match = e->acl->rules[k];
				snprintf(r->name, sizeof(r->name), "%.19s/%u/%u", policy->name,
					 e->number & 0xffff, r->match->number & 0xffff);
				r->id = name_id(r->name);
			}
		}
		policy->n_rules = c->n_rules - policy->first_rule;
	}
	make_unique(p);
	return !p->no_memory;
}

/* ---- comparing ----------------------------------------------------------------------------- */

static bool ports_meet(const uint16_t a[2], const uint16_t b[2])
{
	return a[0] <= b[1] && b[0] <= a[1];
}

static bool ranges_meet(const struct addr_range *a, const struct addr_range *b)
{
	return addr_cmp(&a->min, &b->max) <= 0 && addr_cmp(&b->min, &a->max) <= 0;
}

static bool overlap(const struct conf_acl_rule *a, const struct conf_acl_rule *b)
{
	return (!a->family || !b->family || a->family == b->family) &&
	       (!a->protocol || !b->protocol || a->protocol == b->protocol) &&
	       ranges_meet(&a->remote, &b->remote) && ranges_meet(&a->local, &b->local) &&
	       ports_meet(a->local_port, b->local_port) && ports_meet(a->remote_port, b->remote_port);
}

static bool range_in(const struct addr_range *in, const struct addr_range *out)
{
	return addr_cmp(&out->min, &in->min) <= 0 && addr_cmp(&in->max, &out->max) <= 0;
}

static bool contains(const struct conf_acl_rule *a, const struct conf_acl_rule *b)
{
	return overlap(a, b) && (!a->family || a->family == b->family) &&
	       (!a->protocol || a->protocol == b->protocol) && range_in(&b->remote, &a->remote) &&
	       range_in(&b->local, &a->local) && a->local_port[0] <= b->local_port[0] &&
	       b->local_port[1] <= a->local_port[1] && a->remote_port[0] <= b->remote_port[0] &&
	       b->remote_port[1] <= a->remote_port[1];
}

/* What an earlier rule does to a later one; the first that hides it says more than one that shares with it.
 */
struct finding {
	const struct conf_rule *by;
	bool hidden;
};

static void note(struct finding *f, const struct conf_rule *earlier, const struct conf_rule *later)
{
	bool hidden = contains(earlier->match, later->match);

	/* A deny in front of a permit cuts a piece out of it: that is what it is for. */
	if (!hidden && (!earlier->match->permit || !later->match->permit))
		return;
	/* What a deny at the end no longer has to stop is no news. */
	if (hidden && !earlier->match->permit && !later->match->permit)
		return;
	if (f->by && f->hidden >= hidden && (f->hidden > hidden || f->by < earlier))
		return;
	*f = (struct finding){earlier, hidden};
}

static const char *peer_name(const struct conf_rule *r)
{
	return r->entry->peer ? r->entry->peer->name : "?";
}

static void tell(struct parse *p, const struct finding *f, const struct conf_rule *r)
{
	const struct conf_rule *by = f->by;
	bool twice = by->match == r->match;
	/* One acl in two entries: the acl rule stands in one place, so cite the entries. */
	struct conf_loc at = twice ? r->entry->at.acl : r->match->loc;
	struct conf_loc other = twice ? by->entry->at.acl : by->match->loc;
	char local[RANGE_STRLEN], remote[RANGE_STRLEN];
	struct addr_range a, b;

	if (f->hidden && by->match->permit) {
		diag_warn(p->diag, at,
			  "rule %s is never reached: %s (%u:%u) matches all of it first, for peer \"%s\"",
			  r->name, by->name, other.line, other.col, peer_name(by));
		return;
	}
	if (f->hidden) {
		diag_warn(p->diag, at,
			  "rule %s is never reached: the deny rule %s (%u:%u) matches all of it first",
			  r->name, by->name, other.line, other.col);
		return;
	}
	if (!range_intersect(&by->match->local, &r->match->local, &a) ||
	    !range_intersect(&by->match->remote, &r->match->remote, &b))
		return;
	diag_warn(p->diag, at, "rule %s overlaps %s (%u:%u): %s -> %s matches both and goes to peer \"%s\"",
		  r->name, by->name, other.line, other.col, range_str(&a, local), range_str(&b, remote),
		  peer_name(by));
}

static int by_remote(const void *a, const void *b)
{
	const struct conf_rule *x = *(const struct conf_rule *const *)a,
			       *y = *(const struct conf_rule *const *)b;

	return addr_cmp(&x->match->remote.min, &y->match->remote.min);
}

/* Sorted by where their remote range starts, rules that could meet stand close to each other. */
static void compare_policy(struct parse *p, const struct conf_policy *policy)
{
	const struct conf_rule *first = p->conf->rules + policy->first_rule, **v;
	size_t i, j, n = policy->n_rules;
	struct finding *found;

	v = parse_alloc(p, (n ? n : 1) * sizeof(*v));
	found = parse_alloc(p, (n ? n : 1) * sizeof(*found));
	if (!v || !found)
		goto out;
	for (i = 0; i < n; i++)
		v[i] = &first[i];
	qsort(v, n, sizeof(*v), by_remote);
	for (i = 0; i < n; i++) {
		for (j = i + 1; j < n && addr_cmp(&v[j]->match->remote.min, &v[i]->match->remote.max) <= 0;
		     j++) {
			const struct conf_rule *earlier = v[i] < v[j] ? v[i] : v[j];
			const struct conf_rule *later = v[i] < v[j] ? v[j] : v[i];

			if (overlap(earlier->match, later->match))
				note(&found[later - first], earlier, later);
		}
	}
	for (i = 0; i < n; i++)
		if (found[i].by)
			tell(p, &found[i], &first[i]);
out:
	free(found);
	free(v);
}

void rules_compare(struct parse *p)
{
	size_t i;

	/* Quadratic where all rules overlap, so what cannot run anyway (check_room) is not compared. */
	for (i = 0; i < p->conf->n_policies && !p->no_memory; i++)
		if (p->conf->policies[i]->n_rules <= ADIT_RULES_MAX)
			compare_policy(p, p->conf->policies[i]);
}
