// SPDX-License-Identifier: BSD-2-Clause
#include "backstop.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

struct backstop {
	struct nft_ctx *nft;
	char table[32];
	char *stands; /* how nftables listed the table when it was written */
	char why[256];
};

/* Which side of a packet is ours, in the words of one hook. */
struct direction {
	const char *chain, *hook, *name, *index; /* name, index: how nftables calls the interface there */
	const char *local, *remote;		 /* address of our side, of the other */
	const char *local_port, *remote_port;
};

static const struct direction directions[] = {
	/* Before anything may rewrite an address of what comes in; after everything that rewrites what goes out. */
	{"in",  "prerouting priority -350", "iifname", "iif", "daddr", "saddr", "dport", "sport"},
	{"out", "postrouting priority 350", "oifname", "oif", "saddr", "daddr", "sport", "dport"},
};

/* What no policy judges: the rows of bpf/exempt.h in the words of nftables. */
static const char exempt[] = "    icmpv6 type { 133, 134, 135, 136, 137 } ip6 hoplimit 255 accept\n"
			     "    ip6 saddr fe80::/10 accept\n"
			     "    ip6 daddr fe80::/10 accept\n"
			     "    ip6 daddr & ff0f:: == ff01:: accept\n"
			     "    ip6 daddr & ff0f:: == ff02:: accept\n"
			     "    ip daddr 224.0.0.0/24 accept\n"
			     "    ip daddr 255.255.255.255 accept\n";

/* ---- the text ------------------------------------------------------------------------------ */

static bool is_all(const struct addr_range *r, int family)
{
	int len = range_prefix_len(r);

	return family == AF_INET ? len == 0 && addr_is_v4(&r->min) : len == 0;
}

static void put_side(FILE *f, const char *ip, const char *side, const struct addr_range *r, int family)
{
	char text[RANGE_STRLEN];

	if (!is_all(r, family))
		fprintf(f, " %s %s %s", ip, side, range_str(r, text));
}

static bool is_any_port(const uint16_t port[2])
{
	return port[0] == 0 && port[1] == 65535;
}

static void put_port(FILE *f, const char *side, const uint16_t port[2])
{
	if (!is_any_port(port))
		fprintf(f, " th %s %u-%u", side, port[0], port[1]);
}

static void put_addresses(FILE *f, const struct direction *d, const struct conf_acl_rule *m, int family)
{
	const char *ip = family == AF_INET ? "ip" : "ip6";

	fprintf(f, "    meta nfproto %s", family == AF_INET ? "ipv4" : "ipv6");
	if (!m->family) /* any -> any of both families */
		return;
	put_side(f, ip, d->local, &m->local, family);
	put_side(f, ip, d->remote, &m->remote, family);
}

/* A rule that stops packets also stops those that hide what it asks for in a later fragment (RFC 4301 7). */
static void put_hidden(FILE *f, const struct direction *d, const struct conf_acl_rule *m, int family)
{
	if (!m->protocol || (family == AF_INET && is_any_port(m->local_port) && is_any_port(m->remote_port)))
		return;
	put_addresses(f, d, m, family);
	if (family == AF_INET)
		fprintf(f, " meta l4proto %u ip frag-off & 0x1fff != 0 counter drop\n", m->protocol);
	else
		fprintf(f, " frag frag-off != 0 counter drop\n");
}

static void put_rule(FILE *f, const struct direction *d, const struct conf_rule *r, int family)
{
	const struct conf_acl_rule *m = r->match;
	bool stops = m->permit || r->policy->deny_action == CONF_DROP;

	if (m->family && m->family != family)
		return;
	put_addresses(f, d, m, family);
	if (m->protocol)
		fprintf(f, " meta l4proto %u", m->protocol);
	put_port(f, d->local_port, m->local_port);
	put_port(f, d->remote_port, m->remote_port);
	fprintf(f, stops ? " counter drop\n" : " accept\n");
	if (stops)
		put_hidden(f, d, m, family);
}

/* An ICMP error carries a packet in its quote, which is not looked at here: none goes to, or comes for, those whose
 * packets are protected. */
static void put_errors(FILE *f, const struct direction *d, const struct conf_acl_rule *m)
{
	const char *side = d == &directions[1] ? d->remote : d->local;
	const struct addr_range *r = d == &directions[1] ? &m->remote : &m->local;
	bool v4 = m->family == AF_INET;

	fprintf(f, "    meta nfproto %s", v4 ? "ipv4" : "ipv6");
	put_side(f, v4 ? "ip" : "ip6", side, r, m->family);
	fprintf(f,
		v4 ? " icmp type { 3, 4, 5, 11, 12 } counter drop\n" : " icmpv6 type 0-127 counter drop\n");
}

static void put_policy(FILE *f, const struct direction *d, const struct conf *c, const struct conf_policy *p)
{
	size_t i;

	fprintf(f, "  chain %s_%x {\n", d->chain, p->id);
	for (i = 0; i < p->n_rules; i++)
		if (c->rules[p->first_rule + i].match->permit)
			put_errors(f, d, c->rules[p->first_rule + i].match);
	fprintf(f, "%s", exempt);
	for (i = 0; i < p->n_rules; i++) {
		put_rule(f, d, &c->rules[p->first_rule + i], AF_INET);
		put_rule(f, d, &c->rules[p->first_rule + i], AF_INET6);
	}
	/* What was decrypted and finds no way into the LAN turns back: it has the addresses of a protected flow, the
	 * wrong way round, and may not leave either. */
	for (i = 0; d == &directions[1] && i < p->n_rules; i++)
		if (c->rules[p->first_rule + i].match->permit) {
			put_rule(f, &directions[0], &c->rules[p->first_rule + i], AF_INET);
			put_rule(f, &directions[0], &c->rules[p->first_rule + i], AF_INET6);
		}
	fprintf(f, p->unmatched == CONF_DROP ? "    counter drop\n  }\n" : "  }\n");
}

static void put_direction(FILE *f, const struct direction *d, const struct conf *c)
{
	size_t i;

	for (i = 0; i < c->n_policies; i++)
		put_policy(f, d, c, c->policies[i]);
	fprintf(f,
		"  chain %s {\n    type filter hook %s; policy accept;\n    meta %s . meta %sgroup "
		"@guarded_%s accept\n",
		d->chain, d->hook, d->index, d->index, d->chain);
	for (i = 0; i < c->n_interfaces; i++)
		if (c->interfaces[i]->policy)
			fprintf(f, "    %s \"%s\" goto %s_%x\n", d->name, c->interfaces[i]->name, d->chain,
				c->interfaces[i]->policy->id);
	fprintf(f, "  }\n");
}

static void put_table(FILE *f, const char *table, const struct conf *c)
{
	size_t i;

	/* One transaction: there is no moment without a table when there was one. */
	fprintf(f, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", table, table, table);
	for (i = 0; i < sizeof(directions) / sizeof(*directions); i++)
		fprintf(f, "  set guarded_%s { type iface_index . devgroup; }\n", directions[i].chain);
	for (i = 0; i < sizeof(directions) / sizeof(*directions); i++)
		put_direction(f, &directions[i], c);
	fprintf(f, "}\n");
}

/* ---- nftables ------------------------------------------------------------------------------ */

/* libnftables has no error numbers; its first line says it. */
static int run(struct backstop *b, const char *commands, const char **why)
{
	const char *said;

	if (nft_run_cmd_from_buffer(b->nft, commands) == 0)
		return 0;
	said = nft_ctx_get_error_buffer(b->nft);
	snprintf(b->why, sizeof(b->why), "%.*s", said ? (int)strcspn(said, "\n") : 0, said ? said : "");
	if (!*b->why)
		snprintf(b->why, sizeof(b->why), "nftables does not work here");
	*why = b->why;
	return -EIO;
}

static char *list(struct backstop *b)
{
	char command[64];
	const char *unused, *text;

	snprintf(command, sizeof(command), "list table inet %s", b->table);
	if (run(b, command, &unused))
		return NULL;
	text = nft_ctx_get_output_buffer(b->nft);
	return text ? strdup(text) : NULL;
}

static void remember(struct backstop *b)
{
	free(b->stands);
	b->stands = list(b);
}

static int open_nft(struct backstop *b, const char *instance)
{
	snprintf(b->table, sizeof(b->table), "adit-%.24s", instance);
	b->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!b->nft || nft_ctx_buffer_error(b->nft) || nft_ctx_buffer_output(b->nft))
		return -ENOMEM;
	/* Counters and names of interfaces change without anybody's doing. */
	nft_ctx_output_set_flags(b->nft, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_ALL);
	return 0;
}

int backstop_open(const char *instance, struct backstop **ret)
{
	struct backstop *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	err = open_nft(b, instance);
	if (err) {
		backstop_close(b);
		return err;
	}
	*ret = b;
	return 0;
}

void backstop_close(struct backstop *b)
{
	if (!b)
		return;
	if (b->nft)
		nft_ctx_free(b->nft);
	free(b->stands);
	free(b);
}

int backstop_write(struct backstop *b, const struct conf *conf, const char **why)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int err;

	*why = strerror(ENOMEM);
	if (!f)
		return -EIO;
	put_table(f, b->table, conf);
	err = fclose(f) ? -EIO : run(b, text, why);
	free(text);
	if (!err)
		remember(b);
	return err;
}

static void put_set(FILE *f, const struct backstop *b, const struct direction *d,
		    const struct backstop_set *set)
{
	unsigned i;

	fprintf(f, "flush set inet %s guarded_%s\n", b->table, d->chain);
	for (i = 0; i < set->n; i++)
		fprintf(f, "add element inet %s guarded_%s { %u . %u }\n", b->table, d->chain,
			set->v[i].ifindex, set->v[i].group);
}

int backstop_guarded(struct backstop *b, const struct backstop_set *in, const struct backstop_set *out,
		     const char **why)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int err;

	*why = strerror(ENOMEM);
	if (!f)
		return -EIO;
	put_set(f, b, &directions[0], in);
	put_set(f, b, &directions[1], out);
	err = fclose(f) ? -EIO : run(b, text, why);
	free(text);
	if (!err)
		remember(b);
	return err;
}

bool backstop_stands(struct backstop *b)
{
	char *now = b->stands ? list(b) : NULL;
	bool same = now && strcmp(now, b->stands) == 0;

	free(now);
	return same;
}

bool backstop_remove(const char *instance)
{
	struct backstop b = {0};
	const char *unused;
	char command[64];
	bool was = false;

	if (open_nft(&b, instance) == 0) {
		snprintf(command, sizeof(command), "delete table inet %s", b.table);
		was = run(&b, command, &unused) == 0;
	}
	if (b.nft)
		nft_ctx_free(b.nft);
	return was;
}
