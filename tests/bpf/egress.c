// SPDX-License-Identifier: BSD-2-Clause
#include "egress.h"

#include <netinet/in.h>

void start(struct frame *f)
{
	frame_eth(f, bed.gateway_mac, bed.wan_mac);
}

void udp(struct frame *f, const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	start(f);
	frame_ip(f, src, dst, IPPROTO_UDP);
	frame_udp(f, sport, dport);
	frame_fill(f, 40);
	frame_finish(f);
}

struct frame tagged(const struct frame *f, const uint16_t *ids, size_t n)
{
	struct frame t;

	start(&t);
	while (n--)
		frame_vlan(&t, *ids++);
	put16(t.b + t.len - 2, get16(f->b + 12));
	frame_octets(&t, f->b + 14, f->len - 14);
	return t;
}

int fixture(void **state)
{
	struct adit_rule rules[] = {
		rule_of(1, ADIT_BYPASS, "10.1.1.0/24", "10.1.2.77/32", 0),
		rule_of(2, ADIT_DISCARD, "10.1.1.0/24", "10.1.2.78/32", 0),
		rule_of(3, ADIT_PROTECT, "10.1.1.0/24", "10.1.2.0/24", 0),
		rule_of(4, ADIT_PROTECT, "2001:db8:11::/64", "2001:db8:22::/64", 0),
		rule_of(5, ADIT_PROTECT, "192.0.2.1/32", "198.51.100.0/24", 0),
		rule_of(6, ADIT_PROTECT, "2001:db8:1::1/128", "2001:db8:ff::/64", 0),
	};

	if (!bed_reset(state))
		bed_rules(rules, 6);
	return 0;
}
