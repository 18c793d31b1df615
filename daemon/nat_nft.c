// SPDX-License-Identifier: BSD-2-Clause
/* NAT rules as libnftables writes them in JSON (libnftables-json(5)). */
#include "nat_rules.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What one rule is read with. */
struct reading {
	struct nat_ruleset *rs;
	const json_t *sets; /* array with the elements of named ones; NULL */
	const struct nat_chain *chain;
	struct nat_rule *rule;
};

static const char *str(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* Statements and verdicts are objects with one key, {"accept": null}. */
static const char *only_key(const json_t *j, const json_t **v)
{
	void *at = json_object_iter((json_t *)j);

	*v = at ? json_object_iter_value(at) : NULL;
	return at ? json_object_iter_key(at) : "";
}

/* ---- as a person would write it -------------------------------------------------------------- */

struct words {
	char *buf;
	size_t size;
};

static void say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *w, const char *fmt, ...)
{
	size_t n = strlen(w->buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->buf + n, w->size - n, fmt, ap);
	va_end(ap);
}

static void say_value(struct words *w, const json_t *v)
{
	const json_t *list = json_object_get(v, "set"), *prefix = json_object_get(v, "prefix"),
		     *range = json_object_get(v, "range"), *e;
	size_t i;

	if (json_is_string(v))
		say(w, "%s", json_string_value(v));
	else if (json_is_integer(v))
		say(w, "%lld", (long long)json_integer_value(v));
	else if (prefix)
		say(w, "%s/%lld", str(prefix, "addr"),
		    (long long)json_integer_value(json_object_get(prefix, "len")));
	else if (range) {
		say_value(w, json_array_get(range, 0));
		say(w, "-");
		say_value(w, json_array_get(range, 1));
	} else if (list) {
		say(w, "{");
		json_array_foreach(list, i, e)
		{
			say(w, i ? ", " : " ");
			say_value(w, e);
		}
		say(w, " }");
	} else {
		say(w, "...");
	}
}

static void say_match(struct words *w, const json_t *match)
{
	const json_t *left = json_object_get(match, "left"), *payload = json_object_get(left, "payload"),
		     *meta = json_object_get(left, "meta"), *ct = json_object_get(left, "ct");
	const char *op = str(match, "op");

	if (payload)
		say(w, "%s %s ", str(payload, "protocol"), str(payload, "field"));
	else if (meta)
		say(w, "%s ", str(meta, "key"));
	else if (ct)
		say(w, "ct %s ", str(ct, "key"));
	else
		say(w, "... ");
	if (strcmp(op, "==") && strcmp(op, "in"))
		say(w, "%s ", op);
	say_value(w, json_object_get(match, "right"));
	say(w, " ");
}

static void say_statement(struct words *w, const char *key, const json_t *v)
{
	const char *target = str(v, "target");

	if (strcmp(key, "match") == 0)
		say_match(w, v);
	else if (strcmp(key, "counter") == 0)
		return;
	else if (strcmp(key, "xt") == 0)
		say(w, "%s %s ", str(v, "type"), str(v, "name"));
	else if (strcmp(key, "snat") == 0) {
		say(w, "snat to ");
		say_value(w, json_object_get(v, "addr"));
		say(w, " ");
	} else
		say(w, *target ? "%s %s " : "%s ", key, target);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* "10.1.1.0/24" in its forms. */
static bool address_range(const json_t *v, struct addr_range *ret)
{
	const json_t *prefix = json_object_get(v, "prefix"), *range = json_object_get(v, "range");
	const json_t *len = json_object_get(prefix, "len");
	struct addr a;

	if (json_is_string(v)) {
		if (addr_parse(json_string_value(v), &ret->min))
			return false;
		ret->max = ret->min;
		return true;
	}
	if (prefix) {
		if (addr_parse(str(prefix, "addr"), &a) || !json_is_integer(len) ||
		    json_integer_value(len) < 0 || json_integer_value(len) > (addr_is_v4(&a) ? 32 : 128))
			return false;
		prefix_range(&a, (unsigned)json_integer_value(len), ret);
		return true;
	}
	return json_is_string(json_array_get(range, 0)) && json_is_string(json_array_get(range, 1)) &&
	       !addr_parse(json_string_value(json_array_get(range, 0)), &ret->min) &&
	       !addr_parse(json_string_value(json_array_get(range, 1)), &ret->max);
}

static bool port_number(const json_t *v, unsigned *ret)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT16_MAX)
		return false; /* a service's name: nft writes numbers in JSON */
	*ret = (unsigned)json_integer_value(v);
	return true;
}

static bool port_range(const json_t *v, struct addr_range *ret)
{
	const json_t *range = json_object_get(v, "range");
	unsigned from, to;

	if (!port_number(range ? json_array_get(range, 0) : v, &from) ||
	    !port_number(range ? json_array_get(range, 1) : v, &to))
		return false;
	*ret = ports_range(from, to);
	return true;
}

static bool protocol_number(const json_t *v, uint8_t bits[32])
{
	json_int_t n = json_is_string(v)    ? nat_protocol(json_string_value(v))
		       : json_is_integer(v) ? json_integer_value(v)
					    : -1;

	if (n < 0 || n > 255)
		return false;
	bits[n / 8] |= (uint8_t)(1u << n % 8);
	return true;
}

/* Calls one() for the value, or for each of a set; false when one of them is not understood. */
typedef bool one_fn(void *self, const json_t *v);

static bool each_of(const json_t *list, one_fn *one, void *self)
{
	const json_t *v, *elem;
	size_t i;

	json_array_foreach(list, i, v)
	{
		elem = json_object_get(v, "elem");
		if (!one(self, elem ? json_object_get(elem, "val") : v))
			return false;
	}
	return true;
}

static bool is_set(const struct nat_set *s, const struct nat_chain *c, const char *name)
{
	return !strcmp(s->family, c->family) && !strcmp(s->table, c->table) && !strcmp(s->name, name);
}

static void want(struct reading *rd, const char *name)
{
	struct nat_ruleset *rs = rd->rs;
	struct nat_set *s = &rs->wanted[rs->n_wanted];
	unsigned i;

	for (i = 0; i < rs->n_wanted; i++)
		if (is_set(&rs->wanted[i], rd->chain, name))
			return;
	if (rs->n_wanted == NAT_WANTED_MAX || !rd->chain->reached)
		return;
	rs->n_wanted++;
	snprintf(s->family, sizeof(s->family), "%s", rd->chain->family);
	snprintf(s->table, sizeof(s->table), "%s", rd->chain->table);
	snprintf(s->name, sizeof(s->name), "%s", name);
}

static const json_t *named_set(const struct reading *rd, const char *name)
{
	const json_t *o, *set;
	size_t i;

	json_array_foreach(rd->sets, i, o)
	{
		set = json_object_get(o, "set");
		if (set && !strcmp(str(set, "family"), rd->chain->family) &&
		    !strcmp(str(set, "table"), rd->chain->table) && !strcmp(str(set, "name"), name))
			return set;
	}
	return NULL;
}

/* Elements that time out are there now and may be gone in a moment: nothing is known of such a set. */
static bool each_named(struct reading *rd, const char *name, one_fn *one, void *self)
{
	const json_t *set = named_set(rd, name), *flag;
	size_t i;

	want(rd, name);
	if (!set)
		return false;
	json_array_foreach(json_object_get(set, "flags"), i, flag)
	{
		if (json_is_string(flag) && (strcmp(json_string_value(flag), "timeout") == 0 ||
					     strcmp(json_string_value(flag), "dynamic") == 0))
			return false;
	}
	return each_of(json_object_get(set, "elem"), one, self);
}

static bool each_value(struct reading *rd, const json_t *right, one_fn *one, void *self)
{
	const char *name = json_string_value(right);

	if (name && *name == '@')
		return each_named(rd, name + 1, one, self);
	if (json_is_array(right))
		return each_of(right, one, self);
	if (json_object_get(right, "set"))
		return each_of(json_object_get(right, "set"), one, self);
	return one(self, right);
}

/* ---- conditions ------------------------------------------------------------------------------ */

static bool add_address(void *self, const json_t *v)
{
	struct addr_range r;

	return address_range(v, &r) && ranges_add(self, &r);
}

static bool add_port(void *self, const json_t *v)
{
	struct addr_range r;

	return port_range(v, &r) && ranges_add(self, &r);
}

static bool add_protocol(void *self, const json_t *v)
{
	return protocol_number(v, self);
}

/* "ppp*" is any rest.  A number is an index that no device has. */
static bool add_name(void *self, const json_t *v)
{
	const char *name = json_string_value(v);
	size_t len;

	if (json_is_integer(v))
		return true;
	if (!name || !*name)
		return false; /* nft 1.0 writes wildcards in a set so */
	len = strlen(name);
	if (len >= 2 && strcmp(name + len - 2, "\\*") == 0)
		return false; /* a star that is one */
	return out_cond_add(self, name);
}

/* The comparisons that are understood. */
static bool plain_op(const char *op, bool *negated)
{
	*negated = strcmp(op, "!=") == 0;
	return *negated || strcmp(op, "==") == 0;
}

static void want_values(struct reading *rd, struct ranges *of_rule, one_fn *one, const json_t *right,
			bool negated)
{
	struct ranges values = {0};

	if (each_value(rd, right, one, &values)) {
		nat_want_ranges(rd->rule, of_rule, &values, negated);
	} else {
		ranges_free(&values);
		rd->rule->opaque = true;
	}
}

static void want_protocols(struct reading *rd, const json_t *right, bool negated)
{
	uint8_t bits[32] = {0};

	if (each_value(rd, right, add_protocol, bits))
		nat_want_protocols(rd->rule, bits, negated);
	else
		rd->rule->opaque = true;
}

static void want_out(struct reading *rd, const json_t *right, bool negated)
{
	struct out_cond *c = nat_want_out(rd->rule, negated);

	if (c && !each_value(rd, right, add_name, c))
		nat_forget_out(rd->rule);
}

static void want_family(struct reading *rd, const json_t *right, bool negated, const char *v4, const char *v6)
{
	const char *word = json_string_value(right);

	if (word && strcmp(word, v4) == 0)
		nat_want_family(rd->rule, negated ? AF_INET6 : AF_INET);
	else if (word && strcmp(word, v6) == 0)
		nat_want_family(rd->rule, negated ? AF_INET : AF_INET6);
	else
		rd->rule->opaque = true;
}

/* "ip saddr", "tcp dport": the protocol is a condition, too. */
static void want_payload(struct reading *rd, const json_t *payload, const json_t *right, bool negated)
{
	const char *protocol = str(payload, "protocol"), *field = str(payload, "field");
	bool ip = strcmp(protocol, "ip") == 0, ip6 = strcmp(protocol, "ip6") == 0;
	json_t *word;

	if (ip || ip6)
		nat_want_family(rd->rule, ip ? AF_INET : AF_INET6);
	else if (strcmp(protocol, "th")) {
		word = json_string(protocol);
		want_protocols(rd, word, false);
		json_decref(word);
	}
	if ((ip || ip6) && strcmp(field, "saddr") == 0)
		want_values(rd, &rd->rule->from, add_address, right, negated);
	else if ((ip || ip6) && strcmp(field, "daddr") == 0)
		want_values(rd, &rd->rule->to, add_address, right, negated);
	else if (ip && strcmp(field, "protocol") == 0)
		want_protocols(rd, right, negated);
	else if (!ip && !ip6 && strcmp(field, "sport") == 0)
		want_values(rd, &rd->rule->from_port, add_port, right, negated);
	else if (!ip && !ip6 && strcmp(field, "dport") == 0)
		want_values(rd, &rd->rule->to_port, add_port, right, negated);
	else /* ip6 nexthdr among them: it is the first header's, not the transport's */
		rd->rule->opaque = true;
}

static void want_meta(struct reading *rd, const char *key, const json_t *right, bool negated)
{
	if (strcmp(key, "oifname") == 0 || strcmp(key, "oif") == 0)
		want_out(rd, right, negated);
	else if (strcmp(key, "l4proto") == 0)
		want_protocols(rd, right, negated);
	else if (strcmp(key, "nfproto") == 0)
		want_family(rd, right, negated, "ipv4", "ipv6");
	else if (strcmp(key, "protocol") == 0)
		want_family(rd, right, negated, "ip", "ip6");
	else
		rd->rule->opaque = true;
}

static void want_equal(struct reading *rd, const json_t *left, const json_t *right, bool negated)
{
	const json_t *payload = json_object_get(left, "payload"), *meta = json_object_get(left, "meta");

	if (payload)
		want_payload(rd, payload, right, negated);
	else if (meta)
		want_meta(rd, str(meta, "key"), right, negated);
	else
		rd->rule->opaque = true;
}

static void want_match(struct reading *rd, const json_t *match)
{
	bool negated;

	if (plain_op(str(match, "op"), &negated))
		want_equal(rd, json_object_get(match, "left"), json_object_get(match, "right"), negated);
	else
		rd->rule->opaque = true;
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static void source_nat(struct nat_rule *r, const json_t *v)
{
	r->action = NAT_SOURCE;
	r->becomes_known = address_range(json_object_get(v, "addr"), &r->becomes);
}

/* Targets and matches of iptables that nft only knows by name. */
static void xtables(struct nat_rule *r, const json_t *v)
{
	const char *name = str(v, "name");
	bool target = strcmp(str(v, "type"), "target") == 0;

	r->xt = true;
	if (!target && strcmp(name, "comment"))
		r->opaque = true;
	/* MASQUERADE, SNAT, NETMAP, FULLCONENAT. */
	if (target && strcmp(name, "DNAT") &&
	    (strstr(name, "NAT") || strstr(name, "NETMAP") || strstr(name, "MASQ")))
		r->action = NAT_SOURCE;
}

static void jump(struct nat_rule *r, enum nat_action action, const json_t *v)
{
	r->action = action;
	snprintf(r->target, sizeof(r->target), "%s", str(v, "target"));
}

/* A verdict or NAT.  What is left over is either without meaning for the verdict, or a condition in disguise
 * (limit, quota, connection counts). */
static void act(struct nat_rule *r, const char *key, const json_t *v)
{
	static const char *const nothing[] = {"counter", "log", "mangle",  "ct helper", "set",	    "notrack",
					      "last",	 "dup", "comment", "flow",	"continue", NULL};
	static const char *const leave[] = {"accept", "drop", "reject", NULL};
	static const char *const source[] = {"masquerade", "fullcone", NULL};

	if (is_one_of(key, leave))
		r->action = NAT_LEAVE;
	else if (is_one_of(key, source))
		r->action = NAT_SOURCE;
	else if (strcmp(key, "snat") == 0)
		source_nat(r, v);
	else if (strcmp(key, "return") == 0)
		r->action = NAT_RETURN;
	else if (strcmp(key, "jump") == 0)
		jump(r, NAT_JUMP, v);
	else if (strcmp(key, "goto") == 0)
		jump(r, NAT_GOTO, v);
	else if (strcmp(key, "xt") == 0)
		xtables(r, v);
	else if (!is_one_of(key, nothing))
		r->opaque = true;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void name_rule(struct nat_rule *r, const json_t *rule)
{
	struct words w = {r->text, sizeof(r->text)};
	const json_t *statement, *v;
	const char *key;
	size_t i, len;

	snprintf(r->id, sizeof(r->id), "handle %lld",
		 (long long)json_integer_value(json_object_get(rule, "handle")));
	json_array_foreach(json_object_get(rule, "expr"), i, statement)
	{
		key = only_key(statement, &v);
		say_statement(&w, key, v);
	}
	if (*str(rule, "comment"))
		say(&w, "comment %s", str(rule, "comment"));
	len = strlen(r->text);
	if (len && r->text[len - 1] == ' ')
		r->text[len - 1] = '\0';
}

static void want_family_of_table(struct nat_rule *r, const struct nat_chain *c)
{
	if (strcmp(c->family, "ip") == 0)
		nat_want_family(r, AF_INET);
	else if (strcmp(c->family, "ip6") == 0)
		nat_want_family(r, AF_INET6);
}

/* With the statements before number end; NULL: no memory. */
static struct nat_rule *rule_until(struct reading *rd, const json_t *rule, size_t end)
{
	const json_t *statement, *v;
	const char *key;
	size_t i;

	rd->rule = nat_rule_new();
	if (!rd->rule)
		return NULL;
	name_rule(rd->rule, rule);
	want_family_of_table(rd->rule, rd->chain);
	json_array_foreach(json_object_get(rule, "expr"), i, statement)
	{
		if (i == end)
			break;
		key = only_key(statement, &v);
		if (strcmp(key, "match") == 0)
			want_match(rd, v);
		else
			act(rd->rule, key, v);
	}
	return rd->rule;
}

static bool append(struct nat_chain *c, struct nat_rule *r)
{
	if (r && nat_rule_append(c, r))
		return true;
	nat_rule_free(r);
	return false;
}

/* A verdict map is a rule for each element; one whose elements are not known may lead anywhere. */
static bool verdict_map(struct reading *rd, struct nat_chain *c, const json_t *rule, size_t at,
			const json_t *vmap)
{
	const json_t *elements = json_object_get(json_object_get(vmap, "data"), "set"), *e, *v, *elem;
	const char *key;
	size_t i;

	if (!elements) {
		struct nat_rule *r = rule_until(rd, rule, at);

		if (r)
			r->action = NAT_ANYWHERE;
		return append(c, r);
	}
	json_array_foreach(elements, i, e)
	{
		if (!rule_until(rd, rule, at))
			return false;
		elem = json_object_get(json_array_get(e, 0), "elem");
		want_equal(rd, json_object_get(vmap, "key"),
			   elem ? json_object_get(elem, "val") : json_array_get(e, 0), false);
		key = only_key(json_array_get(e, 1), &v);
		act(rd->rule, key, v);
		if (!append(c, rd->rule))
			return false;
	}
	return true;
}

static bool add_rule(struct reading *rd, const json_t *rule)
{
	struct nat_chain *c =
		nat_chain_find(rd->rs, NAT_NFT, str(rule, "family"), str(rule, "table"), str(rule, "chain"));
	const json_t *statement, *vmap;
	size_t i;

	if (!c)
		return true; /* of a family that carries no IP packet, or made since */
	rd->chain = c;
	json_array_foreach(json_object_get(rule, "expr"), i, statement)
	{
		vmap = json_object_get(statement, "vmap");
		if (vmap)
			return verdict_map(rd, c, rule, i, vmap);
	}
	return append(c, rule_until(rd, rule, SIZE_MAX));
}

/* ---- chains ---------------------------------------------------------------------------------- */

static bool add_chain(struct nat_ruleset *rs, const json_t *j)
{
	struct nat_chain *c = nat_chain_add(rs);

	if (!c)
		return false;
	snprintf(c->family, sizeof(c->family), "%s", str(j, "family"));
	snprintf(c->table, sizeof(c->table), "%s", str(j, "table"));
	snprintf(c->name, sizeof(c->name), "%s", str(j, "name"));
	c->base = strcmp(str(j, "type"), "nat") == 0 && strcmp(str(j, "hook"), "postrouting") == 0;
	return true;
}

static bool add_chains(struct nat_ruleset *rs, const json_t *objects)
{
	const json_t *o, *chain;
	size_t i;

	json_array_foreach(objects, i, o)
	{
		chain = json_object_get(o, "chain");
		if (chain && !add_chain(rs, chain))
			return false;
	}
	nat_chains_sort(rs);
	return true;
}

static bool add_rules(struct reading *rd, const json_t *objects)
{
	const json_t *o, *rule;
	size_t i;

	json_array_foreach(objects, i, o)
	{
		rule = json_object_get(o, "rule");
		if (rule && !add_rule(rd, rule))
			return false;
	}
	return true;
}

static bool has_named_set(const json_t *match)
{
	const char *right = json_string_value(json_object_get(match, "right"));

	return right && *right == '@';
}

/* Asks for the named sets of the rule, and forgets what else it says. */
static void want_sets_of(struct reading *rd, const json_t *rule)
{
	const json_t *statement, *match;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, statement)
	{
		match = json_object_get(statement, "match");
		if (!has_named_set(match))
			continue;
		rd->chain = nat_chain_find(rd->rs, NAT_NFT, str(rule, "family"), str(rule, "table"),
					   str(rule, "chain"));
		rd->rule = rd->chain && rd->chain->reached ? nat_rule_new() : NULL;
		if (rd->rule)
			want_match(rd, match);
		nat_rule_free(rd->rule);
	}
}

/* Which of them matter shows once it is known which chains can be reached. */
static void find_wanted(struct reading *rd, const json_t *objects)
{
	const json_t *o;
	size_t i;

	json_array_foreach(objects, i, o)
	{
		want_sets_of(rd, json_object_get(o, "rule"));
	}
}

/* nft -j writes one object {"nftables": [...]} for each command. */
static json_t *read_objects(const char *json, size_t len)
{
	json_t *all = json_array(), *one;
	json_error_t where;
	size_t at = 0;

	while (at < len) {
		one = json_loadb(json + at, len - at, JSON_DISABLE_EOF_CHECK, &where);
		if (!json_is_array(json_object_get(one, "nftables")) || where.position <= 0) {
			json_decref(one);
			json_decref(all);
			return NULL;
		}
		json_array_extend(all, json_object_get(one, "nftables"));
		json_decref(one);
		for (at += (size_t)where.position; at < len && strchr(" \n\t", json[at]); at++)
			;
	}
	if (json_array_size(all))
		return all;
	json_decref(all); /* not even the line that nft begins with: it was ended */
	return NULL;
}

int nat_add_nft(struct nat_ruleset *rs, const char *json, size_t len, const char *sets, size_t sets_len)
{
	json_t *objects = read_objects(json, len), *elements = sets ? read_objects(sets, sets_len) : NULL;
	struct reading rd = {.rs = rs, .sets = elements};
	int err = objects ? 0 : -EBADMSG;

	if (!err && (!add_chains(rs, objects) || !add_rules(&rd, objects)))
		err = -ENOMEM;
	if (!err) {
		nat_chains_link(rs);
		find_wanted(&rd, objects);
	}
	json_decref(objects);
	json_decref(elements);
	return err;
}

char *nat_wanted_set(const struct nat_ruleset *rs, unsigned i)
{
	json_t *command;
	char *text;

	if (i >= rs->n_wanted)
		return NULL;
	command = json_pack("{s:[{s:{s:{s:s,s:s,s:s}}}]}", "nftables", "list", "set", "family",
			    rs->wanted[i].family, "table", rs->wanted[i].table, "name", rs->wanted[i].name);
	text = json_dumps(command, JSON_COMPACT);
	json_decref(command);
	return text;
}
