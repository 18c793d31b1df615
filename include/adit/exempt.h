/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What no rule is asked about: the traffic that keeps a link alive, and that no router takes to another one.  Everything
 * else, groups and broadcasts included, meets the rules, in both directions (RFC 4301 4.4.1, 5.1, 5.2).
 *
 * The destination decides, whoever sent it.  A row is X(FAMILY, BITS, MASK, RANGE, WHY): BITS and MASK are of the
 * address's first 32 bits.  bpf/exempt.h acts on it, conf/rules.c refuses rules that could never protect.
 *
 * One more, which is not known by its address alone: neighbour discovery, i.e. ICMPv6 of type 133 to 137, code 0 and
 * hop limit 255 (RFC 4861 7.1, so no router passed it on), not a fragment (RFC 6980), to one of these destinations or to a unicast address that is on the
 * interface's own link (out) or our own (in).
 */
#ifndef ADIT_EXEMPT_H
#define ADIT_EXEMPT_H

#define ADIT_EXEMPT_DESTINATIONS(X)                                                                          \
	X(6, 0xfe800000, 0xffc00000, "fe80::/10",       "link-local unicast (RFC 4291 2.5.6)")               \
	X(6, 0xff010000, 0xff0f0000, "ff01::/16",       "groups of the interface, any flags (RFC 4291 2.7)") \
	X(6, 0xff020000, 0xff0f0000, "ff02::/16",       "groups of the link, any flags (RFC 4291 2.7)")      \
	X(4, 0xe0000000, 0xffffff00, "224.0.0.0/24",    "groups of the link (RFC 5771 4)")                   \
	X(4, 0xffffffff, 0xffffffff, "255.255.255.255", "this link's broadcast, such as DHCP (RFC 919 7)")

#define ADIT_DISCOVERY_FIRST	133 /* router solicitation */
#define ADIT_DISCOVERY_LAST	137 /* redirect */
#define ADIT_DISCOVERY_HOPS	255

#endif
