// SPDX-License-Identifier: BSD-2-Clause
/* NAT rules as iptables-save writes them: one to a line, "-A POSTROUTING -s 10.1.0.0/16 -o wan0 -j MASQUERADE". */
#include "nat_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 128
#define TEXT_MAX  2048

struct line {
	char text[TEXT_MAX];
	char *word[WORDS_MAX + 1]; /* NULL ends them */
	unsigned n;
};

/* Words in double quotes may hold spaces; a backslash stands in front of what is meant as it is. */
static bool split(struct line *l)
{
	char *from = l->text, *to = l->text;
	bool quoted = false;

	for (l->n = 0; *from && l->n < WORDS_MAX; l->n++) {
		while (*from == ' ')
			from++;
		if (!*from)
			break;
		for (l->word[l->n] = to; *from && (quoted || *from != ' '); from++) {
			if (*from == '"') {
				quoted = !quoted;
				continue;
			}
			if (*from == '\\' && from[1])
				from++;
			*to++ = *from;
		}
		if (*from)
			from++;
		*to++ = '\0';
	}
	l->word[l->n] = NULL;
	return !*from && !quoted;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* "10.1.0.0/16", "10.1.0.0/255.255.0.0" (which is not saved for a mask that is a length), "10.1.0.1-10.1.0.9". */
static bool add_addresses(struct ranges *r, const char *word)
{
	const char *dash = strchr(word, '-');
	struct addr_range range = {0};
	char first[ADDR_STRLEN];
	struct addr a;
	unsigned len;

	if (!dash) {
		if (prefix_parse(word, &a, &len))
			return false;
		prefix_range(&a, len, &range);
		return ranges_add(r, &range);
	}
	snprintf(first, sizeof(first), "%.*s", (int)(dash - word), word);
	return !addr_parse(first, &range.min) && !addr_parse(dash + 1, &range.max) && ranges_add(r, &range);
}

/* "80", "100:200", and with multiport "80,100:200". */
static bool add_ports(struct ranges *r, const char *word)
{
	struct addr_range range;
	unsigned long from, to;
	char *end;

	for (;; word = end + 1) {
		from = to = strtoul(word, &end, 10);
		if (end != word && *end == ':')
			to = strtoul(end + 1, &end, 10);
		if (end == word || (*end && *end != ',') || from > UINT16_MAX || to > UINT16_MAX)
			return false;
		range = ports_range((unsigned)from, (unsigned)to);
		if (!ranges_add(r, &range))
			return false;
		if (!*end)
			return true;
	}
}

/* ---- options --------------------------------------------------------------------------------- */

static void want_addresses(struct nat_rule *r, struct ranges *of_rule, const char *word, bool negated)
{
	struct ranges values = {0};

	if (add_addresses(&values, word)) {
		nat_want_ranges(r, of_rule, &values, negated);
	} else {
		ranges_free(&values);
		r->opaque = true;
	}
}

static void want_ports(struct nat_rule *r, struct ranges *of_rule, const char *word, bool negated)
{
	struct ranges values = {0};

	if (add_ports(&values, word)) {
		nat_want_ranges(r, of_rule, &values, negated);
	} else {
		ranges_free(&values);
		r->opaque = true;
	}
}

/* "ppp+" is any rest. */
static void want_out(struct nat_rule *r, const char *word, bool negated)
{
	struct out_cond *c = nat_want_out(r, negated);
	char name[IFNAMSIZ + 1];
	size_t len;

	snprintf(name, sizeof(name), "%s", word);
	len = strlen(name);
	if (len && name[len - 1] == '+')
		name[len - 1] = '*';
	if (c && !out_cond_add(c, name))
		nat_forget_out(r);
}

static void want_protocol(struct nat_rule *r, const char *word, bool negated)
{
	int n = nat_protocol(word);
	uint8_t bits[32] = {0};

	if (n < 0) {
		r->opaque = true;
		return;
	}
	bits[n / 8] = (uint8_t)(1u << n % 8);
	nat_want_protocols(r, bits, negated);
}

static bool is(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || (b && strcmp(word, b) == 0);
}

/* A condition with one value; false: not one of these. */
static bool condition(struct nat_rule *r, const char *option, const char *value, bool negated)
{
	if (is(option, "-s", "--src-range"))
		want_addresses(r, &r->from, value, negated);
	else if (is(option, "-d", "--dst-range"))
		want_addresses(r, &r->to, value, negated);
	else if (is(option, "-o", NULL))
		want_out(r, value, negated);
	else if (is(option, "-p", NULL))
		want_protocol(r, value, negated);
	else if (is(option, "--sport", "--sports"))
		want_ports(r, &r->from_port, value, negated);
	else if (is(option, "--dport", "--dports"))
		want_ports(r, &r->to_port, value, negated);
	else
		return is(option, "--comment", NULL);
	return true;
}

/* What follows a target belongs to it. */
static void act(struct nat_rule *r, bool jump, char **word)
{
	const char *target = *word ? *word++ : "";
	struct ranges to = {0};
	char address[ADDR_STRLEN];

	if (is(target, "ACCEPT", "DROP") || is(target, "REJECT", NULL))
		r->action = NAT_LEAVE;
	else if (is(target, "RETURN", NULL))
		r->action = NAT_RETURN;
	else if (!is(target, "DNAT", NULL) &&
		 (strstr(target, "NAT") || strstr(target, "NETMAP") || strstr(target, "MASQ"))) {
		r->action = NAT_SOURCE;
	} else {
		r->action =
			jump ? NAT_JUMP : NAT_GOTO; /* LOG and its like lead to no chain: nothing happens */
		snprintf(r->target, sizeof(r->target), "%s", target);
	}
	for (; *word && word[1]; word++)
		if (is(*word, "--to-source", NULL)) {
			snprintf(address, sizeof(address), "%.*s", (int)strcspn(word[1], "[]:"), word[1]);
			r->becomes_known = add_addresses(&to, address);
			if (r->becomes_known)
				r->becomes = to.v[0];
			ranges_free(&to);
		}
}

/* Modules whose options say all that they want; of any other nothing is known. */
static bool is_harmless(const char *module)
{
	static const char *const known[] = {"tcp",  "udp",   "udplite", "sctp",	     "dccp",
					    "icmp", "icmp6", "comment", "multiport", "iprange"};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(module, known[i]) == 0)
			return true;
	return false;
}

/* Words after "-A CHAIN". */
static void read_rule(struct nat_rule *r, char **word)
{
	bool negated = false;

	for (; *word; word++) {
		if (is(*word, "-j", "-g")) {
			act(r, strcmp(*word, "-j") == 0, word + 1);
			return;
		}
		if (is(*word, "!", NULL)) {
			negated = true;
			continue;
		}
		if (is(*word, "-m", NULL) && word[1])
			r->opaque |= !is_harmless(*++word);
		else if (word[1] && condition(r, *word, word[1], negated))
			word++;
		else
			r->opaque = true;
		negated = false;
	}
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *family_word(int family)
{
	return family == AF_INET ? "ip" : "ip6";
}

static bool add_chain(struct nat_ruleset *rs, int family, const char *line)
{
	struct nat_chain *c = nat_chain_add(rs);

	if (!c)
		return false;
	c->maker = NAT_IPTABLES;
	snprintf(c->family, sizeof(c->family), "%s", family_word(family));
	snprintf(c->table, sizeof(c->table), "nat");
	snprintf(c->name, sizeof(c->name), "%.*s", (int)strcspn(line + 1, " "), line + 1);
	c->base = strcmp(c->name, "POSTROUTING") == 0;
	return true;
}

static bool add_rule(struct nat_ruleset *rs, int family, struct line *l, bool whole)
{
	struct nat_chain *c;
	struct nat_rule *r = nat_rule_new();

	if (!r)
		return false;
	nat_want_family(r, family);
	snprintf(r->text, sizeof(r->text), "%.159s", l->text);
	r->opaque = !split(l) || !whole;
	c = l->n >= 2 ? nat_chain_find(rs, NAT_IPTABLES, family_word(family), "nat", l->word[1]) : NULL;
	if (!c) {
		nat_rule_free(r);
		return true;
	}
	snprintf(r->id, sizeof(r->id), "number %u", c->n + 1);
	read_rule(r, l->word + 2);
	if (nat_rule_append(c, r))
		return true;
	nat_rule_free(r);
	return false;
}

/* The lines of table nat that begin so; 0, -ENOMEM, or -EBADMSG when its end is missing. */
static int each_line(struct nat_ruleset *rs, int family, const char *save, size_t len, char kind)
{
	const char *end = save + len, *next;
	bool nat = false, ended = false, fine = true;
	struct line l;

	for (; save < end && fine; save = next + 1) {
		next = memchr(save, '\n', (size_t)(end - save));
		next = next ? next : end;
		snprintf(l.text, sizeof(l.text), "%.*s", (int)(next - save), save);
		if (*l.text == '*')
			nat = strcmp(l.text, "*nat") == 0;
		ended |= nat && strcmp(l.text, "COMMIT") == 0;
		if (nat && *l.text == kind)
			fine = kind == ':' ? add_chain(rs, family, l.text)
					   : add_rule(rs, family, &l, (size_t)(next - save) < sizeof(l.text));
	}
	return !fine ? -ENOMEM : ended ? 0 : -EBADMSG;
}

int nat_add_iptables(struct nat_ruleset *rs, int family, const char *save, size_t len)
{
	int err = each_line(rs, family, save, len, ':');

	nat_chains_sort(rs);
	if (!err)
		err = each_line(rs, family, save, len, '-');
	if (!err)
		nat_chains_link(rs);
	return err;
}
