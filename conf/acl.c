// SPDX-License-Identifier: BSD-2-Clause
#include "parse.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct side {
	struct addr_range *range;
	uint16_t *port;
	const struct token *at;
	int family; /* AF_UNSPEC: any */
};

struct cursor {
	struct parse *p;
	const struct token *v;
	size_t n, i;
};

static const struct word protocols[] = {
	{.name = "ip",	       .value = 0},
	{.name = "tcp",			.value = IPPROTO_TCP},
	{.name = "udp",.value = IPPROTO_UDP},
	{.name = "icmp",		 .value = IPPROTO_ICMP},
	{.name = "icmpv6",			   .value = IPPROTO_ICMPV6},
	{.name = "gre",.value = IPPROTO_GRE},
	{.name = "sctp",	 .value = IPPROTO_SCTP},
	{.name = "ospf",			 .value = 89},
	{.name = "l2tp",		 .value = 115},
	{0	  }
};

static bool at_word(const struct cursor *c, const char *word)
{
	return c->i < c->n && c->v[c->i].kind == TOKEN_WORD && (!word || strcmp(c->v[c->i].text, word) == 0);
}

/* Where the missing thing should have stood. */
static bool wants(const struct cursor *c, const char *what)
{
	const struct token *t = &c->v[c->i < c->n ? c->i : c->n - 1];

	if (c->i < c->n)
		diag_error(c->p->diag, t->at, "expected %s, not \"%.64s\"", what,
			   t->kind == TOKEN_ARROW ? "->" : t->text);
	else
		diag_error(c->p->diag, t->at, "expected %s after \"%.64s\"", what,
			   t->kind == TOKEN_ARROW ? "->" : t->text);
	return false;
}

static bool take_action(struct cursor *c, struct conf_acl_rule *r)
{
	struct guess g = {.word = at_word(c, NULL) ? c->v[c->i].text : ""};
	char maybe[64], what[96];

	r->permit = at_word(c, "permit");
	if (r->permit || at_word(c, "deny")) {
		c->i++;
		return true;
	}
	guess_offer(&g, "permit");
	guess_offer(&g, "deny");
	snprintf(what, sizeof(what), "permit or deny%s", guess_text(&g, maybe, sizeof(maybe)));
	return wants(c, what);
}

static bool take_protocol(struct cursor *c, struct conf_acl_rule *r)
{
	const struct word *w = at_word(c, NULL) ? word_find(protocols, c->v[c->i].text) : NULL;
	uint64_t n;

	if (w)
		r->protocol = w->value;
	else if (at_word(c, NULL) && number_parse(c->v[c->i].text, &n) && n >= 1 && n <= 255)
		r->protocol = n;
	else
		return wants(c, "a protocol (ip, tcp, udp, icmp, icmpv6, gre, sctp, ospf, l2tp, 1 to 255)");
	c->i++;
	return true;
}

/* 10.1.1.1/24 names two things: tell both. */
static void complain_host_bits(struct cursor *c, const struct token *t)
{
	char host[ADDR_STRLEN], net[ADDR_STRLEN];
	const char *slash = strchr(t->text, '/');
	struct addr_range range;
	struct addr a;

	snprintf(host, sizeof(host), "%.*s", (int)(slash - t->text), t->text);
	if (addr_parse(host, &a))
		return;
	prefix_range(&a, atoi(slash + 1), &range);
	diag_error(c->p->diag, t->at,
		   "\"%s\" has bits set behind its prefix: the network is %s%s, the host alone %s", t->text,
		   addr_str(&range.min, net), slash, host);
}

static bool take_prefix(struct cursor *c, struct side *s)
{
	const struct token *t = &c->v[c->i];
	struct addr a;
	unsigned len;
	int err;

	if (!at_word(c, NULL))
		return wants(c, "an address, a prefix or any");
	s->at = t;
	s->family = AF_UNSPEC;
	if (strcmp(t->text, "any")) {
		err = prefix_parse(t->text, &a, &len);
		if (err == -ERANGE) {
			complain_host_bits(c, t);
			return false;
		}
		if (err)
			return wants(c, "an address, a prefix or any");
		prefix_range(&a, len, s->range);
		s->family = addr_is_v4(&a) ? AF_INET : AF_INET6;
	}
	c->i++;
	return true;
}

static bool port_range(const char *text, uint16_t port[2])
{
	const char *dash = strchr(text, '-');
	uint64_t from, to;
	char first[8];

	snprintf(first, sizeof(first), "%.*s", dash ? (int)(dash - text) : 7, text);
	if ((dash && dash - text > 5) || !number_parse(first, &from))
		return false;
	to = from;
	if (dash && !number_parse(dash + 1, &to))
		return false;
	if (from > to || to > 65535)
		return false;
	port[0] = from;
	port[1] = to;
	return true;
}

static bool take_port(struct cursor *c, const struct conf_acl_rule *r, struct side *s)
{
	s->port[0] = 0;
	s->port[1] = 65535;
	if (!at_word(c, "port"))
		return true;
	if (r->protocol != IPPROTO_TCP && r->protocol != IPPROTO_UDP && r->protocol != IPPROTO_SCTP) {
		diag_error(c->p->diag, c->v[c->i].at, "a port needs tcp, udp or sctp");
		return false;
	}
	c->i++;
	if (!at_word(c, NULL) || !port_range(c->v[c->i].text, s->port))
		return wants(c, "a port or a range like 1000-2000");
	c->i++;
	return true;
}

static void whole_family(struct addr_range *range, int family)
{
	struct addr a;
	unsigned len;

	if (family == AF_UNSPEC) {
		memset(&range->min, 0, sizeof(range->min));
		memset(&range->max, 0xff, sizeof(range->max));
	} else if (!prefix_parse(family == AF_INET ? "0.0.0.0/0" : "::/0", &a, &len)) {
		prefix_range(&a, len, range);
	}
}

static bool settle_family(struct parse *p, struct conf_acl_rule *r, const struct side *l,
			  const struct side *m)
{
	int by_protocol = r->protocol == IPPROTO_ICMP	  ? AF_INET
			  : r->protocol == IPPROTO_ICMPV6 ? AF_INET6
							  : AF_UNSPEC;

	r->family = l->family ? l->family : m->family ? m->family : by_protocol;
	if (l->family && m->family && l->family != m->family) {
		diag_error(p->diag, m->at->at, "\"%s\" and \"%s\" are of two families; a rule has one",
			   l->at->text, m->at->text);
		return false;
	}
	if (by_protocol && r->family != by_protocol) {
		diag_error(p->diag, (l->family ? l : m)->at->at, "icmp is for IPv4 and icmpv6 for IPv6");
		return false;
	}
	if (r->permit && !r->family) {
		diag_error(p->diag, l->at->at,
			   "any -> any does not say which family to protect: write 0.0.0.0/0 or ::/0");
		return false;
	}
	if (!l->family)
		whole_family(&r->local, r->family);
	if (!m->family)
		whole_family(&r->remote, r->family);
	return true;
}

bool acl_statement(struct parse *p, struct conf_acl_rule *r, const struct token *v, size_t n)
{
	struct cursor c = {.p = p, .v = v, .n = n};
	struct side l = {.range = &r->local, .port = r->local_port};
	struct side m = {.range = &r->remote, .port = r->remote_port};

	if (!take_action(&c, r) || !take_protocol(&c, r) || !take_prefix(&c, &l) || !take_port(&c, r, &l))
		return false;
	if (c.i >= c.n || c.v[c.i].kind != TOKEN_ARROW)
		return wants(&c, l.port[1] == 65535 && l.port[0] == 0 ? "port or ->" : "->");
	c.i++;
	if (!take_prefix(&c, &m) || !take_port(&c, r, &m))
		return false;
	if (c.i < c.n)
		return wants(&c, "\";\" or a new line");
	return settle_family(p, r, &l, &m);
}
