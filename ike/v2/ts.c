/* SPDX-License-Identifier: BSD-2-Clause */
#include "ts.h"

#include <errno.h>
#include <stdio.h>

int ts_parse(struct span body, struct ts_list *ret)
{
	struct rd r = rd_of(body.p, body.len);
	unsigned count = rd_u8(&r), i;

	ret->n = 0;
	rd_take(&r, 3);
	for (i = 0; i < count; i++) {
		uint8_t type = rd_u8(&r), proto = rd_u8(&r);
		uint16_t len = rd_be16(&r);
		struct ike_ts ts = {.proto = proto};
		struct span min, max;
		struct rd s;

		if (len < 8)
			return -EBADMSG;
		s = rd_sub(&r, len - 4);
		ts.port_min = rd_be16(&s);
		ts.port_max = rd_be16(&s);
		if (type != TS_IPV4_RANGE && type != TS_IPV6_RANGE) {
			if (s.bad)
				return -EBADMSG;
			continue;
		}
		min = rd_take(&s, type == TS_IPV4_RANGE ? 4 : 16);
		max = rd_take(&s, type == TS_IPV4_RANGE ? 4 : 16);
		if (s.bad || s.left)
			return -EBADMSG;
		ts.addrs.min = type == TS_IPV4_RANGE ? addr_from_v4(min.p) : addr_from_v6(min.p);
		ts.addrs.max = type == TS_IPV4_RANGE ? addr_from_v4(max.p) : addr_from_v6(max.p);
		/* Inside of the mapped block an IPv6 selector would read as an IPv4 one; no packet has such addresses. */
		if (type == TS_IPV6_RANGE && range_is_v4(&ts.addrs))
			continue;
		if (addr_cmp(&ts.addrs.min, &ts.addrs.max) > 0)
			continue;
		if (ret->n < TS_PARSE_MAX)
			ret->ts[ret->n++] = ts;
	}
	return r.bad || r.left || !count ? -EBADMSG : 0;
}

/* Of the range and not of its ends: one end of ::/80 is a mapped address. */
static bool is_v4(const struct ike_ts *ts)
{
	return range_is_v4(&ts->addrs);
}

void ts_write(struct chain *c, uint8_t payload, const struct ike_ts *ts, unsigned n)
{
	unsigned i;

	chain_open(c, payload);
	wr_u8(&c->w, n);
	wr_be(&c->w, 0, 3);
	for (i = 0; i < n; i++) {
		size_t len = is_v4(&ts[i]) ? 4 : 16, skip = 16 - len;

		wr_u8(&c->w, len == 4 ? TS_IPV4_RANGE : TS_IPV6_RANGE);
		wr_u8(&c->w, ts[i].proto);
		wr_be16(&c->w, 8 + 2 * len);
		wr_be16(&c->w, ts[i].port_min);
		wr_be16(&c->w, ts[i].port_max);
		wr_put(&c->w, ts[i].addrs.min.b + skip, len);
		wr_put(&c->w, ts[i].addrs.max.b + skip, len);
	}
	chain_close(c);
}

bool ts_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *ret)
{
	struct ike_ts both = {
		.proto = a->proto ? a->proto : b->proto,
		.port_min = a->port_min > b->port_min ? a->port_min : b->port_min,
		.port_max = a->port_max < b->port_max ? a->port_max : b->port_max,
	};

	if (is_v4(a) != is_v4(b))
		return false;
	if (a->proto && b->proto && a->proto != b->proto)
		return false;
	/* OPAQUE is written 65535..0 and so meets nothing: we have no policy that means it. */
	if (both.port_min > both.port_max || !range_intersect(&a->addrs, &b->addrs, &both.addrs) ||
	    is_v4(&both) != is_v4(a))
		return false;
	*ret = both;
	return true;
}

bool ts_contains(const struct ike_ts *outer, const struct ike_ts *inner)
{
	return is_v4(outer) == is_v4(inner) && range_contains(&outer->addrs, &inner->addrs.min) &&
	       range_contains(&outer->addrs, &inner->addrs.max) &&
	       (!outer->proto || outer->proto == inner->proto) && outer->port_min <= inner->port_min &&
	       outer->port_max >= inner->port_max;
}

bool ts_list_contains(const struct ike_ts *outer, unsigned n_outer, const struct ike_ts *inner,
		      unsigned n_inner)
{
	unsigned i, j;

	for (i = 0; i < n_inner; i++) {
		for (j = 0; j < n_outer && !ts_contains(&outer[j], &inner[i]); j++)
			;
		if (j == n_outer)
			return false;
	}
	return true;
}

static unsigned add(struct ike_ts *list, unsigned n, unsigned max, const struct ike_ts *ts)
{
	unsigned i, kept = 0;

	for (i = 0; i < n; i++)
		if (ts_contains(&list[i], ts))
			return n;
	for (i = 0; i < n; i++)
		if (!ts_contains(ts, &list[i]))
			list[kept++] = list[i];
	if (kept < max)
		list[kept++] = *ts;
	return kept;
}

unsigned ts_narrow(const struct ts_list *theirs, const struct ike_ts *ours, unsigned n_ours,
		   struct ike_ts *ret, unsigned max)
{
	unsigned i, j, n = 0;
	struct ike_ts both;

	for (i = 0; i < theirs->n; i++)
		for (j = 0; j < n_ours; j++)
			if (ts_intersect(&theirs->ts[i], &ours[j], &both))
				n = add(ret, n, max, &both);
	return n;
}

bool ts_list_equal(const struct ike_ts *a, unsigned n_a, const struct ike_ts *b, unsigned n_b)
{
	return ts_list_contains(a, n_a, b, n_b) && ts_list_contains(b, n_b, a, n_a);
}

struct ike_ts ts_of_host(const struct addr *a, uint8_t proto, uint16_t port)
{
	struct ike_ts ts = {
		.addrs = {*a, *a},
		   .proto = proto, .port_min = port, .port_max = port
	     };

	if (proto != 6 && proto != 17)
		ts.port_max = 65535, ts.port_min = 0;
	return ts;
}

void ts_text(const struct ike_ts *ts, unsigned n, char buf[TS_TEXT_MAX])
{
	unsigned i;

	buf[0] = '\0';
	for (i = 0; i < n; i++) {
		char range[RANGE_STRLEN];
		size_t at = strlen(buf);

		range_str(&ts[i].addrs, range);
		snprintf(buf + at, TS_TEXT_MAX - at, "%s%s", i ? ", " : "", range);
		at = strlen(buf);
		if (ts[i].proto)
			snprintf(buf + at, TS_TEXT_MAX - at, " proto %u", ts[i].proto);
		at = strlen(buf);
		if (ts[i].port_min || ts[i].port_max != 65535)
			snprintf(buf + at, TS_TEXT_MAX - at, " port %u-%u", ts[i].port_min, ts[i].port_max);
	}
}
