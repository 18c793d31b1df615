/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages, proposals and selectors as octets. */
#include "help.h"

#include "v2/message.h"
#include "v2/proposal.h"
#include "v2/ts.h"

#include <errno.h>

static struct span span(const void *p, size_t len)
{
	return (struct span){p, len};
}

/* ---- the payload chain --------------------------------------------------------------------- */

static const struct {
	const char *what;
	uint8_t first;
	const char *hex;
	int err;
	enum ike_reason why;
} chains[] = {
	/* clang-format off */
	{"empty", PL_NONE, "", 0, IKE_WHY_NONE},
	{"a nonce of 16", PL_NONCE, "00000014" "00112233445566778899aabbccddeeff", 0, IKE_WHY_NONE},
	{"a nonce of 15", PL_NONCE, "00000013" "00112233445566778899aabbccddee", -EBADMSG, IKE_WHY_MALFORMED},
	{"length below the header", PL_VENDOR, "00000003", -EBADMSG, IKE_WHY_LENGTH},
	{"length zero", PL_VENDOR, "00000000", -EBADMSG, IKE_WHY_LENGTH},
	{"longer than the message", PL_VENDOR, "00000009" "00000000", -EBADMSG, IKE_WHY_LENGTH},
	{"cut header", PL_VENDOR, "0000", -EBADMSG, IKE_WHY_LENGTH},
	{"octets behind the last", PL_VENDOR, "00000004" "00", -EBADMSG, IKE_WHY_LENGTH},
	{"next promised, nothing there", PL_VENDOR, "2b000004", -EBADMSG, IKE_WHY_LENGTH},
	{"unknown, not critical", 99, "00000006" "abcd", 0, IKE_WHY_NONE},
	{"unknown and critical", 99, "00800006" "abcd", -EPROTO, IKE_WHY_CRITICAL},
	{"known and critical", PL_VENDOR, "00800006" "abcd", 0, IKE_WHY_NONE},
	{"two nonces", PL_NONCE, "28000014" "00112233445566778899aabbccddeeff"
				 "00000014" "00112233445566778899aabbccddeeff", -EBADMSG, IKE_WHY_PAYLOADS},
	{"IKEv1 payload number", 1, "00000008" "00000001", 0, IKE_WHY_NONE},
	{"KE without its header", PL_KE, "00000006" "0013", -EBADMSG, IKE_WHY_MALFORMED},
	{"notify, SPI longer than it is", PL_NOTIFY, "0000000a" "0308400b" "aabb", -EBADMSG, IKE_WHY_MALFORMED},
	{"delete, count lies", PL_DELETE, "0000000c" "03040002" "01020304", -EBADMSG, IKE_WHY_MALFORMED},
	{"delete, SPI size lies", PL_DELETE, "0000000c" "03020002" "01020304", -EBADMSG, IKE_WHY_MALFORMED},
	{"delete of IKE with SPI", PL_DELETE, "0000000c" "01040001" "01020304", -EBADMSG, IKE_WHY_MALFORMED},
	{"ID of 3 octets", PL_IDI, "00000007" "010000", -EBADMSG, IKE_WHY_MALFORMED},
	{"SK in front of others", PL_SK, "21000008" "aabbccdd" "00000004", -EBADMSG, IKE_WHY_LENGTH},
	/* clang-format on */
};

static void chain_rows(void **state)
{
	uint8_t octets[256];
	struct msg m;
	size_t i, n;
	int err;

	(void)state;
	for (i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		memset(&m, 0, sizeof(m));
		n = unhex(chains[i].hex, octets, sizeof(octets));
		err = msg_parse_chain(&m, chains[i].first, span(octets, n));
		if (err != chains[i].err || m.why != chains[i].why)
			fail_msg("%s: %d, %s", chains[i].what, err, ike_reason_name(m.why));
	}
}

static void too_many(void **state)
{
	uint8_t octets[4 * (MSG_MAX_PAYLOADS + 1)];
	struct msg m = {0};
	struct chain c;
	int i;

	(void)state;
	chain_begin(&c, octets, sizeof(octets));
	for (i = 0; i < MSG_MAX_PAYLOADS; i++)
		chain_add(&c, PL_VENDOR, NULL, 0);
	assert_int_equal(msg_parse_chain(&m, c.first, span(octets, c.w.len)), 0);
	chain_add(&c, PL_VENDOR, NULL, 0);
	memset(&m, 0, sizeof(m));
	assert_int_equal(msg_parse_chain(&m, c.first, span(octets, c.w.len)), -EBADMSG);
	assert_false(c.w.bad);
	chain_add(&c, PL_VENDOR, NULL, 0);
	assert_true(c.w.bad);
}

static void header_rows(void **state)
{
	uint8_t out[64];
	struct msg_header h = {1, 2, 0, 0, EXCH_INFO, FLAG_INITIATOR, 3, 0};
	struct chain c;
	uint8_t buf[32];
	struct msg m;
	size_t n;

	(void)state;
	chain_begin(&c, buf, sizeof(buf));
	chain_notify_spi(&c, N_REKEY_SA, PROTO_ESP, "\1\2\3\4", 4);
	n = msg_finish(&h, &c, out, sizeof(out));
	assert_int_equal(n, 28 + 12);
	assert_int_equal(msg_parse_header(out, n, &m), 0);
	assert_int_equal(m.h.exchange, EXCH_INFO);
	assert_int_equal(m.h.next, PL_NOTIFY);
	assert_int_equal(msg_parse_header(out, n - 1, &m), -EBADMSG);
	assert_int_equal(msg_parse_header(out, n + 1, &m), -EBADMSG);
	assert_int_equal(msg_parse_header(out, 27, &m), -EBADMSG);
	assert_int_equal(msg_finish(&h, &c, out, 39), 0);
	/* What a mark saw is what is left after a cut. */
	struct chain_mark mark = chain_mark(&c);
	chain_notify(&c, N_COOKIE, "x", 1);
	chain_cut(&c, mark);
	assert_int_equal(msg_finish(&h, &c, out, sizeof(out)), 40);
	assert_string_equal(c.text, "N(REKEY_SA)");
	assert_int_equal(msg_parse_header(out, 40, &m), 0);
	assert_int_equal(msg_parse_chain(&m, m.h.next, span(out + 28, 12)), 0);
	assert_int_equal(m.n_notify, 1);
}

/* ---- proposals ----------------------------------------------------------------------------- */

/* "E20/256 P5 D31 ..." with ';' between proposals. */
static struct proposals list(uint8_t protocol, const char *text)
{
	struct proposals l = {.protocol = protocol, .n = 1};
	unsigned id, bits;
	char kind;
	int n;

	while (sscanf(text, " %c%n", &kind, &n) == 1) {
		struct ike_proposal *p = &l.p[l.n - 1];

		text += n;
		if (kind == ';') {
			l.n++;
			continue;
		}
		bits = 0;
		if (sscanf(text, "%u/%u%n", &id, &bits, &n) != 2)
			assert_int_equal(sscanf(text, "%u%n", &id, &n), 1);
		text += n;
		p->t[p->n++] = (struct ike_transform){strchr("?EPIDN", kind) - "?EPIDN", id, bits};
	}
	return l;
}

static const struct {
	uint8_t protocol;
	const char *ours, *theirs;
	int err;
	uint8_t number;
	uint16_t encr, bits, prf, integ, dh;
	bool esn;
} picks[] = {
	{1, "E20/256P5D31",		    "E20/256P5D31",		    0,       1, 20, 256, 5, 0,	 31, false},
 /* our order, not theirs */
	{1, "E20/256E20/128P6P5D31D19",	"E20/128E20/256P5P6D19D31",	    0,       1, 20, 256, 6, 0,	 31, false},
 /* key length is part of it; so is every type */
	{1, "E20/256P5D31",		    "E20/128P5D31",		    -ENOENT, 0, 0,  0,   0, 0,  0,  false},
	{1, "E20/256P5D31",		    "E20/256P5D19",		    -ENOENT, 0, 0,  0,   0, 0,  0,  false},
	{1, "E20/256P5D31",		    "E20/256P5",			 -ENOENT, 0, 0,	0,   0, 0,	 0,  false},
	{1, "E20/256P5D31",		    "E20/256D31",			  -ENOENT, 0, 0,	 0,   0, 0,  0,  false},
	{1, "E20/256P5D31",		    "E20/256P5D31N1",		      -ENOENT, 0, 0,  0,	0, 0,  0,	 false},
 /* an AEAD has no integrity of its own; NONE may be spelled out */
	{1, "E20/256P5D31",		    "E20/256I12P5D31",	       -ENOENT, 0, 0,  0,	 0, 0,  0,  false},
	{1, "E20/256P5D31",		    "E20/256I0P5D31",		      0,	 1, 20, 256, 5, 0,  31, false},
	{1, "E12/256I12P5D14",	       "E12/256P5D14",		       -ENOENT, 0, 0,  0,	 0, 0,  0,  false},
	{1, "E12/256I12P5D14",	       "E12/256I2I12P2P5D2D14",	0,	   1, 12, 256, 5, 12, 14, false},
 /* second of theirs, with its number */
	{1, "E12/256I12P5D14",	       "E20/256P5D14;E12/256I12P5D14", 0,	  2, 12, 256, 5, 12, 14, false},
 /* our second before their first */
	{1, "E20/128P5D19;E12/128I12P5D19", "E12/128I12P5D19;E20/128P5D19", 0,       2, 20, 128, 5, 0,	 19, false},
 /* ESP: ESN is a choice like the others, absent means no */
	{3, "E20/256N1N0",		   "E20/256N0N1",		  0,	     1, 20, 256, 0, 0,  0,  true },
	{3, "E20/256N0",			 "E20/256N1",		      -ENOENT, 0, 0,  0,	0, 0,  0,	 false},
	{3, "E20/256N1",			 "E20/256N0",		      -ENOENT, 0, 0,  0,	0, 0,  0,	 false},
	{3, "E20/256N0",			 "E20/256",			    0,       1, 20, 256, 0, 0,	 0,  false},
 /* PFS that only one wants; a group 0 that is spelled out */
	{3, "E20/256N0",			 "E20/256D31N0",		 -ENOENT, 0, 0,	0,   0, 0,	 0,  false},
	{3, "E20/256N0",			 "E20/256D31D0N0",		   0,	      1, 20, 256, 0, 0,	0,  false},
	{3, "E20/256D31N0",		    "E20/256N0",			 -ENOENT, 0, 0,	0,   0, 0,	 0,  false},
	{3, "E20/256D31N0",		    "E20/256D19D31N0",	       0,	  1, 20, 256, 0, 0,  31, false},
};

static void proposal_rows(void **state)
{
	uint8_t buf[1024];
	struct suite s;
	struct span spi;
	struct chain c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(picks) / sizeof(picks[0]); i++) {
		struct proposals ours = list(picks[i].protocol, picks[i].ours);
		struct proposals theirs = list(picks[i].protocol, picks[i].theirs);
		size_t spi_len = picks[i].protocol == PROTO_ESP ? 4 : 0, cut;

		chain_begin(&c, buf, sizeof(buf));
		proposals_write(&c, &theirs, "spi.", spi_len);
		int err = proposal_select(span(buf + 4, c.w.len - 4), &ours, spi_len, &s, &spi);
		if (err != picks[i].err)
			fail_msg("row %zu: %d", i, err);
		/* Cut short, it is malformed wherever the cut is. */
		for (cut = 0; cut < c.w.len - 4; cut++) {
			struct suite other;

			assert_int_equal(proposal_select(span(buf + 4, cut), &ours, spi_len, &other, &spi),
					 -EBADMSG);
		}
		if (err)
			continue;
		struct suite want = {
			picks[i].protocol, picks[i].number, picks[i].encr,
			picks[i].bits,	   picks[i].prf,    picks[i].integ,
			picks[i].dh,	   picks[i].esn,    strchr(picks[i].theirs, 'N') != NULL};
		assert_memory_equal(&s, &want, sizeof(s));
		/* The answer is one the initiator takes, and only with the number it gave. */
		chain_begin(&c, buf, sizeof(buf));
		proposal_write_chosen(&c, &s, "abcd", spi_len);
		assert_int_equal(proposal_accepted(span(buf + 4, c.w.len - 4), &theirs, spi_len, &s, &spi),
				 0);
		assert_memory_equal(&s, &want, sizeof(s));
		assert_int_equal(spi.len, spi_len);
		buf[4 + 4] = 9;
		assert_int_equal(proposal_accepted(span(buf + 4, c.w.len - 4), &theirs, spi_len, &s, &spi),
				 -ENOENT);
	}
}

/* A responder that answers with the whole offer, or with something else, is not believed. */
static void accepted_is_strict(void **state)
{
	struct proposals ours = list(PROTO_IKE, "E20/256E20/128P5D31"),
			 other = list(PROTO_IKE, "E20/192P5D31");
	struct proposals two = list(PROTO_IKE, "E20/256P5D31;E20/128P5D31");
	uint8_t buf[512];
	struct suite s;
	struct span spi;
	struct chain c;

	(void)state;
	chain_begin(&c, buf, sizeof(buf));
	proposals_write(&c, &ours, NULL, 0);
	assert_int_equal(proposal_accepted(span(buf + 4, c.w.len - 4), &ours, 0, &s, &spi), -EBADMSG);
	chain_begin(&c, buf, sizeof(buf));
	proposals_write(&c, &two, NULL, 0);
	assert_int_equal(proposal_accepted(span(buf + 4, c.w.len - 4), &ours, 0, &s, &spi), -EBADMSG);
	chain_begin(&c, buf, sizeof(buf));
	proposals_write(&c, &other, NULL, 0);
	assert_int_equal(proposal_accepted(span(buf + 4, c.w.len - 4), &ours, 0, &s, &spi), -ENOENT);
}

/* A transform type we do not know spoils its proposal, an unknown attribute its transform (RFC 7296 3.3.6).
 */
static void alien_transforms(void **state)
{
	static const char type6[] = "00000024010100030300000c0100001480"
				    "0e01000300000802000005000000080600001f";
	static const char attribute[] = "00000028010100030300000c01000014800f01000300000802000005"
					"00000008040000"
					"1f";
	struct proposals ours = list(PROTO_IKE, "E20/256P5D31");
	uint8_t buf[128];
	struct suite s;
	struct span spi;
	size_t n;

	(void)state;
	n = unhex(type6, buf, sizeof(buf));
	assert_int_equal(proposal_select(span(buf, n), &ours, 0, &s, &spi), -ENOENT);
	n = unhex(attribute, buf, sizeof(buf));
	buf[3] = n;
	assert_int_equal(proposal_select(span(buf, n), &ours, 0, &s, &spi), -ENOENT);
}

/* ---- selectors ----------------------------------------------------------------------------- */

/* "10.1.0.0/16 17:53-53, ..." */
static unsigned selectors(const char *text, struct ike_ts *ret)
{
	unsigned n = 0, len, proto, min, max;
	char word[64];
	int used;

	while (sscanf(text, " %63[^ ,]%n", word, &used) == 1) {
		struct ike_ts ts = {.port_max = 65535};
		struct addr a;

		text += used;
		assert_int_equal(prefix_parse(word, &a, &len), 0);
		prefix_range(&a, len, &ts.addrs);
		if (sscanf(text, " %u:%u-%u%n", &proto, &min, &max, &used) == 3) {
			ts.proto = proto;
			ts.port_min = min;
			ts.port_max = max;
			text += used;
		}
		ret[n++] = ts;
		if (*text == ',')
			text++;
	}
	return n;
}

static const struct {
	const char *theirs, *ours, *both;
} narrows[] = {
	{"10.1.0.0/16",			"10.1.0.0/16",		       "10.1.0.0/16"		    },
	{"0.0.0.0/0",			 "10.1.0.0/16",		     "10.1.0.0/16"		  },
	{"10.1.2.0/24",			"10.1.0.0/16",		       "10.1.2.0/24"		    },
	{"10.2.0.0/16",			"10.1.0.0/16",		       ""				 },
	{"0.0.0.0/0",			 "10.1.0.0/16, 10.9.0.0/16",	  "10.1.0.0/16, 10.9.0.0/16"    },
 /* the triggering packet comes first and lies inside what follows */
	{"10.1.1.7/32 17:53-53, 10.1.0.0/16", "10.1.1.0/24",		     "10.1.1.0/24"		  },
	{"10.1.1.7/32 17:53-53",		 "10.1.1.0/24",			"10.1.1.7/32 17:53-53"	      },
	{"10.1.1.0/24 6:0-65535",		  "10.1.1.0/24 17:0-65535",	    ""			      },
	{"10.1.1.0/24 6:0-1023",		 "10.1.1.0/24 6:80-8080",	  "10.1.1.0/24 6:80-1023"	 },
 /* OPAQUE ports meet nothing */
	{"10.1.1.0/24 17:65535-0",		   "10.1.1.0/24",		  ""			    },
 /* families do not mix */
	{"::/0",			      "10.1.1.0/24",			""				  },
	{"10.1.1.0/24, 2001:db8::/32",	       "2001:db8:1::/48, 10.0.0.0/8", "10.1.1.0/24, 2001:db8:1::/48"},
	{"10.1.1.0/24",			"::/0",			""				  },
	{"::/64",			     "10.1.1.0/24",		 ""				   },
 /* these end on a mapped address or span them all, and are IPv6 */
	{"::/80",			     "10.1.1.0/24",		 ""				   },
	{"10.1.1.0/24",			"::/80",			 ""				   },
	{"::/80",			     "::/0",			  "::/80"			 },
	{"::/0",			      "::/80, 10.1.1.0/24",	       "::/80"			      },
	{"::/79, 0.0.0.0/0",		     "::/16, 10.1.1.0/24",	   "::/79, 10.1.1.0/24"	       },
};

static void ts_rows(void **state)
{
	struct ike_ts ours[8], want[8], got[8];
	struct ts_list theirs, again;
	uint8_t buf[512];
	struct chain c;
	unsigned n, cut;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(narrows) / sizeof(narrows[0]); i++) {
		theirs.n = selectors(narrows[i].theirs, theirs.ts);
		chain_begin(&c, buf, sizeof(buf));
		ts_write(&c, PL_TSI, theirs.ts, theirs.n);
		assert_int_equal(ts_parse(span(buf + 4, c.w.len - 4), &again), 0);
		assert_int_equal(again.n, theirs.n);
		assert_memory_equal(again.ts, theirs.ts, theirs.n * sizeof(theirs.ts[0]));
		for (cut = 0; cut < c.w.len - 4; cut++)
			assert_int_equal(ts_parse(span(buf + 4, cut), &again), -EBADMSG);
		n = ts_narrow(&theirs, ours, selectors(narrows[i].ours, ours), got, 8);
		assert_int_equal(n, selectors(narrows[i].both, want));
		assert_memory_equal(got, want, n * sizeof(want[0]));
	}
}

static void ts_oddities(void **state)
{
	/* v6 range inside the v4-mapped block; range upside down; unknown type 9 */
	static const char odd[] = "03000000"
				  "080000280000ffff"
				  "00000000000000000000ffff0a010100"
				  "00000000000000000000ffff0a0101ff"
				  "070000100000ffff"
				  "0a010200"
				  "0a010100"
				  "0900000c0000ffff"
				  "01020304";
	struct ts_list l;
	uint8_t buf[128];
	size_t n = unhex(odd, buf, sizeof(buf));

	(void)state;
	assert_int_equal(ts_parse(span(buf, n), &l), 0);
	assert_int_equal(l.n, 0);
	buf[0] = 0;
	assert_int_equal(ts_parse(span(buf, 4), &l), -EBADMSG);
	buf[0] = 255;
	assert_int_equal(ts_parse(span(buf, n), &l), -EBADMSG);
}

static struct ike_ts range6(const char *min, const char *max)
{
	struct ike_ts ts = {.port_max = 65535};

	assert_int_equal(addr_parse(min, &ts.addrs.min), 0);
	assert_int_equal(addr_parse(max, &ts.addrs.max), 0);
	return ts;
}

/* Ranges of IPv6 addresses with an end among the mapped ones: what they share may not turn into an IPv4 selector. */
static void ts_around_the_mapped_block(void **state)
{
	struct ike_ts below = range6("::1", "::ffff:10.1.1.7"),
		      above = range6("::ffff:10.1.1.3", "2001:db8::"),
		      all = range6("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
		      v4 = range6("::ffff:10.1.1.3", "::ffff:10.1.1.7"), both;

	(void)state;
	assert_false(ts_intersect(&below, &above, &both)); /* 10.1.1.3-10.1.1.7, of no IPv6 packet */
	assert_true(ts_intersect(&below, &all, &both));
	assert_memory_equal(&both, &below, sizeof(both));
	assert_true(ts_intersect(&above, &all, &both));
	assert_memory_equal(&both, &above, sizeof(both));
	assert_false(ts_intersect(&v4, &all, &both));
	assert_false(ts_intersect(&v4, &below, &both));
	assert_true(ts_contains(&all, &below));
	assert_false(ts_contains(&all, &v4));
	assert_false(ts_contains(&below, &v4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_rows),
		cmocka_unit_test(too_many),
		cmocka_unit_test(header_rows),
		cmocka_unit_test(proposal_rows),
		cmocka_unit_test(accepted_is_strict),
		cmocka_unit_test(alien_transforms),
		cmocka_unit_test(ts_rows),
		cmocka_unit_test(ts_oddities),
		cmocka_unit_test(ts_around_the_mapped_block),
	};

	return cmocka_run_group_tests_name("ike messages", tests, NULL, NULL);
}
