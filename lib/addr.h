/* SPDX-License-Identifier: BSD-2-Clause */
/* Internet addresses, IPv4 and IPv6 alike.
 *
 * An address is always 16 octets; IPv4 is written ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that rules, SAs
 * and map keys have one shape.  All octets are in network order; ports are host order.
 */
#ifndef ADIT_ADDR_H
#define ADIT_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_STRLEN  64 /* enough for addr_str and prefix_str */
#define RANGE_STRLEN 128

struct addr {
	uint8_t b[16];
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order */
};

/* A run of addresses, both ends included: what a traffic selector carries (RFC 7296 3.13.1). */
struct addr_range {
	struct addr min, max;
};

bool addr_is_v4(const struct addr *a);
bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0, :: or all zero */
int addr_cmp(const struct addr *a, const struct addr *b);
static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

/* From the 4 or 16 octets of an IP header or a payload. */
struct addr addr_from_v4(const void *octets4);
struct addr addr_from_v6(const void *octets16);
/* The octets as they stand in a header; their number (4 or 16) is returned. */
size_t addr_octets(const struct addr *a, const uint8_t **octets);

/* "10.1.1.1" or "2001:db8::1"; 0 or -EINVAL. */
int addr_parse(const char *text, struct addr *ret);
/* "10.1.1.0/24", a bare address is a full prefix, "any" is 0.0.0.0/0.  Host bits that are set: -ERANGE.
 * len counts within the family: 0..32 or 0..128. */
int prefix_parse(const char *text, struct addr *ret, unsigned *len);
void prefix_range(const struct addr *a, unsigned len, struct addr_range *ret);
/* Is the range one prefix?  Its length, or -ERANGE. */
int range_prefix_len(const struct addr_range *r);

const char *addr_str(const struct addr *a, char buf[ADDR_STRLEN]);
const char *endpoint_str(const struct endpoint *e, char buf[ADDR_STRLEN]); /* "1.2.3.4:500", "[::1]:500" */
/* "10.1.1.0/24" where it is a prefix, else "10.1.1.3-10.1.1.9". */
const char *range_str(const struct addr_range *r, char buf[RANGE_STRLEN]);

/* All of it is IPv4.  A range of IPv6 addresses may span the mapped ones (::/0 does) and is none for that. */
bool range_is_v4(const struct addr_range *r);
bool range_contains(const struct addr_range *r, const struct addr *a);
/* The part that both have; false (ret untouched) when there is none. */
bool range_intersect(const struct addr_range *a, const struct addr_range *b, struct addr_range *ret);

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret);
int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret); /* -EAFNOSUPPORT */

#endif
