// SPDX-License-Identifier: BSD-2-Clause
/* Names become pointers.  A sorted index per kind of object, so that ten thousand peers stay cheap; the same
 * order shows names that were given twice and objects that nobody mentions. */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

struct named {
	const char *name;
	const struct conf_loc *at;
	void *obj;
	bool used;
};

struct index {
	struct named *v;
	size_t n;
	bool missed; /* an unknown name was asked for: then somebody else goes unused, which is no news */
};

/* Where struct conf keeps the objects of a kind, and where those keep their names. */
static const struct {
	size_t list, count, name, loc;
} kinds[BLOCK_COUNT] = {
#define KIND(type, member)                                                        \
	{                                                                         \
		offsetof(struct conf, member), offsetof(struct conf, n_##member), \
			offsetof(struct type, name), offsetof(struct type, loc)   \
	}
	[BLOCK_INTERFACE] = KIND(conf_interface, interfaces),
	[BLOCK_IKE_PROPOSAL] = KIND(conf_ike_proposal, ike_proposals),
	[BLOCK_ESP_PROPOSAL] = KIND(conf_esp_proposal, esp_proposals),
	[BLOCK_PEER] = KIND(conf_peer, peers),
	[BLOCK_ACL] = KIND(conf_acl, acls),
	[BLOCK_POLICY] = KIND(conf_policy, policies),
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	if (x->at->line != y->at->line)
		return x->at->line < y->at->line ? -1 : 1;
	return x->at->col < y->at->col ? -1 : x->at->col > y->at->col;
}

static void index_open(struct parse *p, enum block_id b, struct index *ix)
{
	char **list;
	size_t i;

	memcpy(&list, (char *)p->conf + kinds[b].list, sizeof(list));
	memcpy(&ix->n, (char *)p->conf + kinds[b].count, sizeof(ix->n));
	ix->v = parse_alloc(p, (ix->n ? ix->n : 1) * sizeof(*ix->v));
	if (!ix->v)
		return;
	for (i = 0; i < ix->n; i++)
		ix->v[i] = (struct named){.name = list[i] + kinds[b].name,
					  .at = (const struct conf_loc *)(list[i] + kinds[b].loc),
					  .obj = list[i]};
	qsort(ix->v, ix->n, sizeof(*ix->v), by_name);
	for (i = 1; i < ix->n; i++)
		if (strcmp(ix->v[i].name, ix->v[i - 1].name) == 0)
			diag_error(p->diag, *ix->v[i].at, "second %s \"%s\" (the first is at %u:%u)",
				   blocks[b].name, ix->v[i].name, ix->v[i - 1].at->line,
				   ix->v[i - 1].at->col);
}

static struct named *index_find(const struct index *ix, const char *name)
{
	size_t lo = 0, hi = ix->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(ix->v[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ix->n && strcmp(ix->v[lo].name, name) == 0 ? &ix->v[lo] : NULL;
}

static void unknown(struct parse *p, const struct ref *r, const struct index *ix)
{
	struct guess g = {.word = r->name};
	char maybe[64];
	size_t i;

	/* Guessing is for people; after a screenful of errors nobody reads it. */
	for (i = 0; i < ix->n && p->diag->errors < CONF_DIAG_MAX; i++)
		guess_offer(&g, ix->v[i].name);
	diag_error(p->diag, r->at, "there is no %s \"%s\"%s", blocks[r->target].name, r->name,
		   guess_text(&g, maybe, sizeof(maybe)));
}

static void complain_unused(struct parse *p, enum block_id b, const struct index *ix)
{
	size_t i;

	if (b == BLOCK_INTERFACE || ix->missed)
		return;
	for (i = 0; i < ix->n; i++)
		if (!ix->v[i].used && (i == 0 || strcmp(ix->v[i].name, ix->v[i - 1].name)))
			diag_warn(p->diag, *ix->v[i].at, "%s \"%s\" is used by no %s", blocks[b].name,
				  ix->v[i].name,
				  b == BLOCK_POLICY	    ? "interface"
				  : b == BLOCK_IKE_PROPOSAL ? "peer"
							    : "policy");
}

void refs_resolve(struct parse *p)
{
	struct index ix[BLOCK_COUNT] = {{0}};
	enum block_id b;
	size_t i;

	for (b = 0; b < BLOCK_COUNT; b++)
		if (kinds[b].count)
			index_open(p, b, &ix[b]);
	for (i = 0; i < p->n_refs && !p->no_memory; i++) {
		const struct ref *r = p->refs[i];
		struct named *hit = index_find(&ix[r->target], r->name);

		if (hit) {
			hit->used = true;
			memcpy(r->slot, &hit->obj, sizeof(hit->obj));
		} else {
			ix[r->target].missed = true;
			unknown(p, r, &ix[r->target]);
		}
	}
	for (b = 0; b < BLOCK_COUNT; b++) {
		if (ix[b].v && !p->no_memory)
			complain_unused(p, b, &ix[b]);
		free(ix[b].v);
	}
}
