// SPDX-License-Identifier: BSD-2-Clause
#include "selector.h"

#include <errno.h>
#include <string.h>

static address_number number(const uint8_t octets[16])
{
	uint64_t high, low;

	memcpy(&high, octets, 8);
	memcpy(&low, octets + 8, 8);
	return (address_number)__builtin_bswap64(high) << 64 | __builtin_bswap64(low);
}

static address_number v4_number(const uint8_t octets[4])
{
	uint32_t v;

	memcpy(&v, octets, 4);
	return (address_number)0xffff << 32 | __builtin_bswap32(v); /* ::ffff:a.b.c.d */
}

static void set(struct side *to, const struct adit_selector *from)
{
	to->min = number(from->min.octets);
	to->max = number(from->max.octets);
	to->port_min = from->port_min;
	to->port_max = from->port_max;
	to->protocol = from->protocol;
	to->family = from->family;
}

int selectors_set(struct selectors *s, const struct adit_msg_sa_add *sa)
{
	uint32_t i;

	if (sa->locals > ADIT_WORKER_TS_MAX || sa->remotes > ADIT_WORKER_TS_MAX)
		return -EINVAL;
	s->locals = sa->locals;
	s->remotes = sa->remotes;
	for (i = 0; i < sa->locals; i++)
		set(&s->local[i], &sa->local_ts[i]);
	for (i = 0; i < sa->remotes; i++)
		set(&s->remote[i], &sa->remote_ts[i]);
	return 0;
}

static bool fits(const struct side *s, const struct inner *in, address_number address, uint16_t port)
{
	if (s->family != in->family || address < s->min || address > s->max)
		return false;
	if (s->protocol && s->protocol != in->protocol)
		return false;
	/* So does OPAQUE, the range turned round (65535 to 0, RFC 7296 3.13.1): no port fits, none needs to.
	 */
	if (!in->has_ports)
		return true;
	return port >= s->port_min && port <= s->port_max;
}

static bool any(const struct side *sides, uint32_t n, const struct inner *in, address_number address,
		uint16_t port)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (fits(&sides[i], in, address, port))
			return true;
	return false;
}

static address_number source(const struct inner *in)
{
	return in->family == 4 ? v4_number(in->ip + 12) : number(in->ip + 8);
}

static address_number destination(const struct inner *in)
{
	return in->family == 4 ? v4_number(in->ip + 16) : number(in->ip + 24);
}

/* Any router on the way may have made the error; what it is about must be a packet that we could have sent by this pair of
 * SAs, and the sender of that is who gets it. */
static bool admits_quote(const struct selectors *s, const struct inner *in)
{
	struct inner quote;

	return !inner_quote(in, &quote) && source(&quote) == destination(in) &&
	       any(s->local, s->locals, &quote, source(&quote), quote.src_port) &&
	       any(s->remote, s->remotes, &quote, destination(&quote), quote.dst_port);
}

bool selectors_admit(const struct selectors *s, const struct inner *in)
{
	if (any(s->remote, s->remotes, in, source(in), in->src_port) &&
	    any(s->local, s->locals, in, destination(in), in->dst_port))
		return true;
	return admits_quote(s, in);
}
