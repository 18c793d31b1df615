// SPDX-License-Identifier: BSD-2-Clause
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_is_v4(const struct addr *a)
{
	return memcmp(a->b, v4_mapped, sizeof(v4_mapped)) == 0;
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b + (addr_is_v4(a) ? 12 : 0), zero, addr_is_v4(a) ? 4 : 16) == 0;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

struct addr addr_from_v4(const void *octets4)
{
	struct addr a;

	memcpy(a.b, v4_mapped, sizeof(v4_mapped));
	memcpy(a.b + 12, octets4, 4);
	return a;
}

struct addr addr_from_v6(const void *octets16)
{
	struct addr a;

	memcpy(a.b, octets16, 16);
	return a;
}

size_t addr_octets(const struct addr *a, const uint8_t **octets)
{
	bool v4 = addr_is_v4(a);

	*octets = a->b + (v4 ? 12 : 0);
	return v4 ? 4 : 16;
}

int addr_parse(const char *text, struct addr *ret)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, text, octets) == 1)
		*ret = addr_from_v4(octets);
	else if (inet_pton(AF_INET6, text, octets) == 1)
		*ret = addr_from_v6(octets);
	else
		return -EINVAL;
	return 0;
}

void prefix_range(const struct addr *a, unsigned len, struct addr_range *ret)
{
	unsigned bit, fixed = len + (addr_is_v4(a) ? 96 : 0);

	ret->min = ret->max = *a;
	for (bit = fixed; bit < 128; bit++) {
		ret->min.b[bit / 8] &= ~(0x80 >> bit % 8);
		ret->max.b[bit / 8] |= 0x80 >> bit % 8;
	}
}

int prefix_parse(const char *text, struct addr *ret, unsigned *len)
{
	char host[ADDR_STRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct addr_range range;
	unsigned long bits;
	struct addr a;
	char *end;

	if (strcmp(text, "any") == 0)
		return prefix_parse("0.0.0.0/0", ret, len);
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (addr_parse(host, &a))
		return -EINVAL;
	bits = addr_is_v4(&a) ? 32 : 128;
	if (slash) {
		unsigned long max = bits;

		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > max)
			return -EINVAL;
	}
	prefix_range(&a, bits, &range);
	if (!addr_eq(&range.min, &a))
		return -ERANGE;
	*ret = a;
	*len = bits;
	return 0;
}

int range_prefix_len(const struct addr_range *r)
{
	unsigned base = addr_is_v4(&r->min) ? 96 : 0, len;
	struct addr_range p;

	for (len = 0; base + len < 128; len++)
		if ((r->min.b[(base + len) / 8] ^ r->max.b[(base + len) / 8]) & (0x80 >> (base + len) % 8))
			break;
	prefix_range(&r->min, len, &p);
	return addr_eq(&p.min, &r->min) && addr_eq(&p.max, &r->max) ? (int)len : -ERANGE;
}

const char *addr_str(const struct addr *a, char buf[ADDR_STRLEN])
{
	const uint8_t *octets;
	size_t n = addr_octets(a, &octets);

	return inet_ntop(n == 4 ? AF_INET : AF_INET6, octets, buf, ADDR_STRLEN);
}

const char *endpoint_str(const struct endpoint *e, char buf[ADDR_STRLEN])
{
	char host[ADDR_STRLEN];

	addr_str(&e->addr, host);
	snprintf(buf, ADDR_STRLEN, addr_is_v4(&e->addr) ? "%.46s:%u" : "[%.46s]:%u", host, e->port);
	return buf;
}

const char *range_str(const struct addr_range *r, char buf[RANGE_STRLEN])
{
	char min[ADDR_STRLEN], max[ADDR_STRLEN];
	int len = range_prefix_len(r);

	addr_str(&r->min, min);
	addr_str(&r->max, max);
	if (len >= 0)
		snprintf(buf, RANGE_STRLEN, "%.46s/%d", min, len);
	else
		snprintf(buf, RANGE_STRLEN, "%.46s-%.46s", min, max);
	return buf;
}

bool range_is_v4(const struct addr_range *r)
{
	return addr_is_v4(&r->min) && addr_is_v4(&r->max);
}

bool range_contains(const struct addr_range *r, const struct addr *a)
{
	return addr_cmp(&r->min, a) <= 0 && addr_cmp(a, &r->max) <= 0;
}

bool range_intersect(const struct addr_range *a, const struct addr_range *b, struct addr_range *ret)
{
	const struct addr *min = addr_cmp(&a->min, &b->min) > 0 ? &a->min : &b->min;
	const struct addr *max = addr_cmp(&a->max, &b->max) < 0 ? &a->max : &b->max;
	struct addr_range both = {*min, *max};

	if (addr_cmp(min, max) > 0)
		return false;
	*ret = both;
	return true;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret)
{
	const uint8_t *octets;

	memset(ret, 0, sizeof(*ret));
	if (addr_octets(&e->addr, &octets) == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, octets, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, octets, 16);
	return sizeof(*in6);
}

int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		ret->addr = addr_from_v4(&in->sin_addr);
		ret->port = ntohs(in->sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		ret->addr = addr_from_v6(&in6->sin6_addr);
		ret->port = ntohs(in6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}
