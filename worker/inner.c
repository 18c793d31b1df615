// SPDX-License-Identifier: BSD-2-Clause
#include "inner.h"

#include "checksum.h"
#include "frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define IPV4_MIN     20
#define IPV6_LEN     40
#define EXTENSIONS   8 /* IPv6 extension headers looked through; RFC 8200 knows six */
#define TCP_MIN	     20
#define TCP_FLAGS    13
#define TCP_SYN	     0x02
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6
#define TCPOPT_END   0
#define TCPOPT_NOP   1
#define TCPOPT_MSS   2
#define QUOTE_OFF    8 /* in an ICMP error */
#define QUOTE_LEAST  8 /* octets behind the quoted IP header: RFC 792 */

static int parse_ports(struct inner *in)
{
	const uint8_t *l4 = in->ip + in->l4_off;

	switch (in->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		if (in->len < in->l4_off + 4u)
			return -EBADMSG;
		in->src_port = get16(l4);
		in->dst_port = get16(l4 + 2);
		in->has_ports = true;
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (in->len < in->l4_off + 2u)
			return -EBADMSG;
		in->src_port = in->dst_port = get16(l4);
		in->has_ports = true;
		return 0;
	}
	return 0;
}

/* A quote may end anywhere behind its headers; what there is of it counts then, and its sum is of another hop. */
static int set_len(struct inner *in, uint32_t says, uint32_t there, bool quote)
{
	in->len = quote && says > there ? there : says;
	return in->len > there ? -EBADMSG : 0;
}

static int parse_v4(struct inner *in, uint32_t len, bool quote)
{
	const uint8_t *ip = in->ip;
	uint32_t ihl, offset;

	if (len < IPV4_MIN)
		return -EBADMSG;
	ihl = (ip[0] & 15) * 4u;
	if (set_len(in, get16(ip + 2), len, quote) || ihl < IPV4_MIN || in->len < ihl)
		return -EBADMSG;
	if (!quote &&
	    sum_fold(ihl == IPV4_MIN ? sum_words(ip, IPV4_MIN / 4) : sum_octets(ip, ihl, 0)) != 0xffff)
		return -EBADMSG;

	offset = get16(ip + 6);
	in->family = 4;
	in->protocol = ip[9];
	in->l4_off = (uint16_t)ihl;
	in->options = ihl > IPV4_MIN;
	in->fragment = (offset & 0x3fff) != 0;
	return offset & 0x1fff ? 0 : parse_ports(in);
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_AH || next == IPPROTO_FRAGMENT;
}

static uint32_t extension_len(uint8_t kind, uint8_t units)
{
	if (kind == IPPROTO_FRAGMENT)
		return 8;
	return kind == IPPROTO_AH ? (units + 2) * 4u : (units + 1) * 8u;
}

static int parse_v6(struct inner *in, uint32_t len, bool quote)
{
	const uint8_t *ip = in->ip;
	uint32_t off = IPV6_LEN, n;
	bool later = false;
	uint8_t next, kind;

	if (len < IPV6_LEN)
		return -EBADMSG;
	if (set_len(in, IPV6_LEN + (uint32_t)get16(ip + 4), len, quote))
		return -EBADMSG;

	in->family = 6;
	next = ip[6];
	for (n = 0; is_extension(next) && !later; n++) {
		if (n == EXTENSIONS || in->len < off + 8)
			return -EBADMSG;
		in->options |= next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING;
		if (next == IPPROTO_FRAGMENT) {
			in->fragment = true;
			later = (get16(ip + off + 2) & 0xfff8) != 0;
		}
		kind = next;
		next = ip[off];
		off += extension_len(kind, ip[off + 1]);
	}
	if (off > in->len)
		return -EBADMSG;
	in->protocol = next;
	in->l4_off = (uint16_t)off;
	return later ? 0 : parse_ports(in);
}

/* Straight into ret: a copy of small fields just written would wait for every one of them. */
static inline int parse(uint8_t *ip, uint32_t len, bool quote, struct inner *ret)
{
	*ret = (struct inner){.ip = ip};
	if (len == 0)
		return -EBADMSG;
	switch (ip[0] >> 4) {
	case 4:
		return parse_v4(ret, len, quote);
	case 6:
		return parse_v6(ret, len, quote);
	default:
		return -EBADMSG;
	}
}

int inner_parse(uint8_t *ip, uint32_t len, struct inner *ret)
{
	return parse(ip, len, false, ret);
}

/* RFC 792 and RFC 4443; a redirect quotes like the rest, in IPv4. */
static bool is_error(const struct inner *in)
{
	uint8_t type = (uint8_t)(in->src_port >> 8);

	if (!in->has_ports)
		return false;
	if (in->family == 6)
		return in->protocol == IPPROTO_ICMPV6 && type < 128;
	return in->protocol == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

int inner_quote(const struct inner *in, struct inner *ret)
{
	uint32_t off = in->l4_off + QUOTE_OFF, whole;

	if (!is_error(in) || in->len <= off || in->ip[off] >> 4 != in->family ||
	    parse(in->ip + off, in->len - off, true, ret))
		return -EBADMSG;
	whole = ret->family == 4 ? get16(ret->ip + 2) : IPV6_LEN + (uint32_t)get16(ret->ip + 4);
	return ret->len < whole && ret->len < (uint32_t)ret->l4_off + QUOTE_LEAST ? -EBADMSG : 0;
}

static struct adit_addr address(const struct inner *in, uint32_t v4_off, uint32_t v6_off)
{
	struct adit_addr a = {
		.octets = {[10] = 0xff, [11] = 0xff}
	    };

	if (in->family == 4)
		memcpy(a.octets + 12, in->ip + v4_off, 4);
	else
		memcpy(a.octets, in->ip + v6_off, 16);
	return a;
}

struct adit_addr inner_src(const struct inner *in)
{
	return address(in, 12, 8);
}

struct adit_addr inner_dst(const struct inner *in)
{
	return address(in, 16, 24);
}

static uint16_t load(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static void store(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

bool inner_finish_checksum(struct inner *in)
{
	uint8_t *l4 = in->ip + in->l4_off, *field;
	uint32_t l4_len = in->len - in->l4_off;
	uint16_t sum;

	if (in->fragment)
		return false;
	if (in->protocol == IPPROTO_TCP && l4_len >= TCP_MIN)
		field = l4 + TCP_CHECKSUM;
	else if (in->protocol == IPPROTO_UDP && l4_len >= 8)
		field = l4 + UDP_CHECKSUM;
	else
		return false;

	sum = sum_fold(in->family == 4 ? sum_pseudo(in->ip + 12, 8, l4_len, in->protocol)
				       : sum_pseudo(in->ip + 8, 32, l4_len, in->protocol));
	if (load(field) != sum)
		return false;
	/* The field's own content stands in for the pseudo header.  Should a finished checksum happen to look
	 * like one, this yields the same value again. */
	sum = (uint16_t)~sum_fold(sum_octets(l4, l4_len, 0));
	if (sum == 0 && in->protocol == IPPROTO_UDP)
		sum = 0xffff;
	store(field, sum);
	return true;
}

/* IPv4: one octet of the word at off changes, and the header checksum with it. */
static void set_v4_word(uint8_t *ip, uint32_t off, uint16_t is)
{
	store(ip + 10, checksum_replace(load(ip + 10), load(ip + off), is));
	store(ip + off, is);
}

int inner_decap_ecn(struct inner *in, uint8_t outer_tos)
{
	enum { NOT_ECT, ECT_1, ECT_0, CE };
	uint8_t outer = outer_tos & 3, *ip = in->ip, word[2], ecn;

	ecn = in->family == 4 ? ip[1] & 3 : ip[1] >> 4 & 3;
	if (ecn == NOT_ECT)
		return outer == CE ? -EBADMSG : 0;
	/* CE always wins; ECT(1) outside is the milder mark that RFC 6040 carries over to ECT(0). */
	if (outer == ecn || ecn == CE || (outer != CE && !(outer == ECT_1 && ecn == ECT_0)))
		return 0;
	if (in->family == 6) {
		ip[1] = (uint8_t)((ip[1] & 0xcf) | outer << 4);
		return 0;
	}
	word[0] = ip[0];
	word[1] = (uint8_t)((ip[1] & 0xfc) | outer);
	set_v4_word(ip, 0, load(word));
	return 0;
}

bool inner_decrement_ttl(struct inner *in)
{
	uint8_t *ip = in->ip, word[2];

	if (in->family == 6) {
		if (ip[7] <= 1)
			return false;
		ip[7]--;
		return true;
	}
	if (ip[8] <= 1)
		return false;
	word[0] = (uint8_t)(ip[8] - 1);
	word[1] = ip[9];
	set_v4_word(ip, 8, load(word));
	return true;
}

/* Where the MSS value stands in the options, or NULL. */
static uint8_t *find_mss(uint8_t *opt, uint32_t len)
{
	while (len > 0 && opt[0] != TCPOPT_END) {
		uint32_t n = 1;

		if (opt[0] != TCPOPT_NOP) {
			if (len < 2 || opt[1] < 2 || opt[1] > len)
				return NULL;
			if (opt[0] == TCPOPT_MSS)
				return opt[1] == 4 ? opt + 2 : NULL;
			n = opt[1];
		}
		opt += n;
		len -= n;
	}
	return NULL;
}

bool inner_clamp_mss(struct inner *in, uint16_t mss)
{
	uint8_t *tcp = in->ip + in->l4_off, *at, value[2];
	uint32_t l4_len = in->len - in->l4_off, header;
	uint16_t was, is;

	if (in->protocol != IPPROTO_TCP || !in->has_ports || in->fragment || mss == 0 || l4_len < TCP_MIN ||
	    !(tcp[TCP_FLAGS] & TCP_SYN))
		return false;
	header = (tcp[12] >> 4) * 4u;
	if (header < TCP_MIN || header > l4_len)
		return false;
	at = find_mss(tcp + TCP_MIN, header - TCP_MIN);
	if (!at || get16(at) <= mss)
		return false;

	put16(value, mss);
	was = load(at);
	is = load(value);
	if ((at - tcp) & 1) {
		/* Behind a NOP the value straddles two words of the sum: exchange its octets (RFC 1071 2B).
		 */
		was = __builtin_bswap16(was);
		is = __builtin_bswap16(is);
	}
	store(tcp + TCP_CHECKSUM, checksum_replace(load(tcp + TCP_CHECKSUM), was, is));
	memcpy(at, value, 2);
	return true;
}
