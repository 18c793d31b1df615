// SPDX-License-Identifier: BSD-2-Clause
/* Source NAT rules against a policy: which of them take protected packets away from it, for certain or perhaps, and
 * what is to be written in front of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nat.h"

/* ---- help ---------------------------------------------------------------------------------------- */

static const char common[] = "interface wan0 { role outside; policy map1 }\n"
			     "interface lan0 { role inside }\n"
			     "ike-proposal p1 { encryption aes256gcm16; prf sha256; dh x25519 }\n"
			     "esp-proposal e1 { encryption aes256gcm16 }\n"
			     "peer hq { version 2; remote 198.51.100.1; psk file:%s; ike p1 }\n";

static char key[] = "/tmp/adit-nat-XXXXXX";

static int make_key(void **state)
{
	int fd = mkstemp(key);

	(void)state;
	if (fd < 0 || write(fd, "secret\n", 7) != 7)
		return -1;
	return close(fd);
}

static int remove_key(void **state)
{
	(void)state;
	return unlink(key);
}

static struct conf *conf_of(const char *acl, const char *policy)
{
	struct conf_diag diag;
	struct conf *c = NULL;
	static char text[24000];
	int n = snprintf(text, sizeof(text), common, key);

	snprintf(text + n, sizeof(text) - (size_t)n,
		 "acl lans { %s }\npolicy map1 { %s 10 isakmp { peer hq; acl lans; esp e1 } }\n", acl,
		 policy);
	if (conf_parse(text, strlen(text), "test.conf", &c, &diag))
		conf_diag_print(&diag, stderr);
	assert_non_null(c);
	return c;
}

#define LANS "5 permit ip 10.1.1.0/24 -> 10.1.2.0/24"

struct found {
	unsigned n;
	char all[16384]; /* every text, a line each */
};

static void keep(void *self, const struct nat_finding *f)
{
	struct found *all = self;

	assert_true(*f->name && *f->text);
	all->n++;
	strncat(strncat(all->all, f->text, 2000), "\n", 2);
}

static void judge_and_free(struct nat_ruleset *rs, struct conf *c, struct found *all)
{
	*all = (struct found){0};
	nat_judge(rs, c, keep, all);
	nat_ruleset_free(rs);
	conf_free(c);
}

/* As nft writes them; rules of chain post, then whatever else. */
#define CHAIN(family, name, base)                                                                         \
	"{\"chain\":{\"family\":\"" family "\",\"table\":\"nat\",\"name\":\"" name "\",\"handle\":1" base \
	"}},"
#define BASE	   ",\"type\":\"nat\",\"hook\":\"postrouting\",\"prio\":100,\"policy\":\"accept\""
#define PREROUTING ",\"type\":\"nat\",\"hook\":\"prerouting\",\"prio\":-100,\"policy\":\"accept\""
#define RULE(family, chain, expr)                                                   \
	"{\"rule\":{\"family\":\"" family "\",\"table\":\"nat\",\"chain\":\"" chain \
	"\",\"handle\":7,\"expr\":[" expr "]}},"

#define MATCH(op, left, right) "{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}},"
#define META(key)	       "{\"meta\":{\"key\":\"" key "\"}}"
#define FIELD(protocol, field) "{\"payload\":{\"protocol\":\"" protocol "\",\"field\":\"" field "\"}}"
#define PREFIX(addr, len)      "{\"prefix\":{\"addr\":\"" addr "\",\"len\":" #len "}}"
#define OIFNAME(name)	       MATCH("==", META("oifname"), "\"" name "\"")
#define FROM(what)	       MATCH("==", FIELD("ip", "saddr"), what)
#define TO(what)	       MATCH("==", FIELD("ip", "daddr"), what)
#define MASQ		       "{\"masquerade\":null}"
#define ACCEPT		       "{\"accept\":null}"
#define LOCAL		       PREFIX("10.1.1.0", 24)
#define REMOTE		       PREFIX("10.1.2.0", 24)

static struct nat_ruleset *ruleset(const char *objects, const char *sets)
{
	struct nat_ruleset *rs;
	char json[16384];

	assert_int_equal(nat_ruleset_new(&rs), 0);
	snprintf(json, sizeof(json), "{\"nftables\":[{\"metainfo\":{}},%s{\"x\":0}]}\n", objects);
	assert_int_equal(nat_add_nft(rs, json, strlen(json), sets, sets ? strlen(sets) : 0), 0);
	return rs;
}

enum verdict { SILENT, SURE, MAY };

static void expect(const char *what, enum verdict want, const struct found *got)
{
	bool may = strstr(got->all, " may rewrite the source"),
	     sure = strstr(got->all, " rewrites the source");

	if (got->n != (want != SILENT) || may != (want == MAY) || sure != (want == SURE))
		fail_msg("%s: %u findings: %s", what, got->n, got->all);
}

/* Tables, aligned by hand (and clang-format 14 dies of them). */
/* clang-format off */

/* ---- nftables: one chain ------------------------------------------------------------------------- */

static const struct {
	const char *what;
	enum verdict want;
	const char *rules; /* of chain post */
} one_chain[] = {
	{"no rule",		    SILENT, ""							      },
	{"masquerade for all",      SURE,	  RULE("ip", "post", MASQ)				    },
	{"on the policy interface", SURE,   RULE("ip", "post", OIFNAME("wan0") MASQ)		       },
	{"by its index",	    SURE,	RULE("ip", "post", MATCH("==", META("oif"), "\"wan0\"") MASQ)     },
	{"an index that nobody has", SILENT, RULE("ip", "post", MATCH("==", META("oif"), "77") MASQ)	  },
	{"on another one",	    SILENT, RULE("ip", "post", OIFNAME("lte0") MASQ)		       },
	{"any other one",	    SILENT, RULE("ip", "post", MATCH("!=", META("oifname"), "\"wan0\"") MASQ)},
	{"not on the inside",	    SURE,
	 RULE("ip", "post", MATCH("!=", META("oifname"), "{\"set\":[\"lan0\",\"ppp7\"]}") MASQ)	       },
	{"one of several",	    SURE,
	 RULE("ip", "post", MATCH("==", META("oifname"), "{\"set\":[\"lte0\",\"wan0\"]}") MASQ)	       },
	{"wildcard",		    SURE,	  RULE("ip", "post", OIFNAME("wa*") MASQ)			 },
	{"wildcard of others",      SILENT, RULE("ip", "post", OIFNAME("wan0.*") MASQ)			},
	{"wildcards of a set, which nft 1.0 hides", MAY,
	 RULE("ip", "post", MATCH("==", META("oifname"), "{\"set\":[{\"range\":[\"\",\"\"]}]}") MASQ)      },
	{"from the local network",  SURE,	  RULE("ip", "post", FROM(PREFIX("10.1.0.0", 16)) MASQ)	      },
	{"from one of its hosts",   SURE,	  RULE("ip", "post", FROM("\"10.1.1.9\"") MASQ)		    },
	{"from elsewhere",	    SILENT, RULE("ip", "post", FROM(PREFIX("10.9.0.0", 16)) MASQ)	       },
	{"from anywhere but here",  SILENT, RULE("ip", "post", MATCH("!=", FIELD("ip", "saddr"), LOCAL) MASQ)},
	{"but not to there",	    SILENT, RULE("ip", "post", MATCH("!=", FIELD("ip", "daddr"), REMOTE) MASQ)},
	{"but not to a part of it", SURE,
	 RULE("ip", "post", MATCH("!=", FIELD("ip", "daddr"), PREFIX("10.1.2.0", 25)) MASQ)		 },
	{"to a range",		    SURE,
	 RULE("ip", "post", TO("{\"range\":[\"10.1.1.250\",\"10.1.2.0\"]}") MASQ)			      },
	{"to a range beside it",    SILENT,
	 RULE("ip", "post", TO("{\"range\":[\"10.1.1.250\",\"10.1.1.255\"]}") MASQ)			},
	{"not to a set with it",    SILENT,
	 RULE("ip", "post", MATCH("!=", FIELD("ip", "daddr"), "{\"set\":[\"10.7.7.7\"," PREFIX("10.1.2.0", 23) "]}") MASQ)},
	{"a set with counters",     SURE,
	 RULE("ip", "post", TO("{\"set\":[{\"elem\":{\"val\":\"10.1.2.3\",\"counter\":{}}}]}") MASQ)       },
	{"a protocol",		    SURE,
	 RULE("ip", "post", MATCH("==", META("l4proto"), "{\"set\":[\"tcp\",\"udp\"]}") MASQ)		   },
	{"a port",		    SURE,	  RULE("ip", "post", MATCH("==", FIELD("tcp", "dport"), "443") MASQ) },
	{"a mark",		    MAY,	 RULE("ip", "post", MATCH("==", META("mark"), "5") MASQ)	       },
	{"bits of a mark",	    MAY,
	 RULE("ip", "post", MATCH("==", "{\"&\":[" META("mark") ",255]}", "5") MASQ)			},
	{"less than",		    MAY,	 RULE("ip", "post", MATCH("<", FIELD("ip", "daddr"), "\"10.0.0.9\"") MASQ)},
	{"both at once",	    MAY,
	 RULE("ip", "post",
	      MATCH("==", "{\"concat\":[" FIELD("ip", "saddr") "," FIELD("ip", "daddr") "]}",
		    "{\"set\":[{\"concat\":[\"10.1.1.1\",\"10.1.2.2\"]}]}") MASQ)			 },
	{"a named set",		    MAY,	 RULE("ip", "post", TO("\"@nets\"") MASQ)			  },
	{"something new",	    MAY,	 RULE("ip", "post", "{\"quota\":{\"val\":1}}," MASQ)		     },
	{"a mark, but elsewhere",   SILENT,
	 RULE("ip", "post", MATCH("==", META("mark"), "5") FROM(PREFIX("10.9.0.0", 16)) MASQ)		   },
	{"snat",		    SURE,	  RULE("ip", "post", "{\"snat\":{\"addr\":\"192.0.2.1\"}}")	     },
	{"snat by a map",	    SURE,	  RULE("ip", "post", "{\"snat\":{\"addr\":{\"map\":{}}}}")	   },
	{"snat into the tunnel's own network", SILENT,
	 RULE("ip", "post", "{\"snat\":{\"addr\":\"10.1.1.254\"}}")				       },
	{"what iptables made",	    SURE,
	 RULE("ip", "post", OIFNAME("wan0") "{\"counter\":{\"packets\":0,\"bytes\":0}},{\"xt\":{\"type\":\"target\",\"name\":\"MASQUERADE\"}}")},
	{"what iptables made, with a match", MAY,
	 RULE("ip", "post", "{\"xt\":{\"type\":\"match\",\"name\":\"policy\"}},{\"xt\":{\"type\":\"target\",\"name\":\"SNAT\"}}")},
	{"a comment of iptables",   SURE,
	 RULE("ip", "post", "{\"xt\":{\"type\":\"match\",\"name\":\"comment\"}},{\"xt\":{\"type\":\"target\",\"name\":\"SNAT\"}}")},
	{"dnat is not our matter",  SILENT, RULE("ip", "post", "{\"dnat\":{\"addr\":\"10.1.2.3\"}}")	   },

	{"exempted",		    SILENT, RULE("ip", "post", FROM(LOCAL) TO(REMOTE) ACCEPT) RULE("ip", "post", MASQ)},
	{"by a wider one",	    SILENT, RULE("ip", "post", TO(PREFIX("10.0.0.0", 8)) ACCEPT) RULE("ip", "post", MASQ)},
	{"return does as well",     SILENT, RULE("ip", "post", TO(REMOTE) "{\"return\":null}") RULE("ip", "post", MASQ)},
	{"and drop",		    SILENT, RULE("ip", "post", TO(REMOTE) "{\"drop\":null}") RULE("ip", "post", MASQ)},
	{"too late",		    SURE,	  RULE("ip", "post", MASQ) RULE("ip", "post", TO(REMOTE) ACCEPT)     },
	{"for one half only",	    SURE,
	 RULE("ip", "post", TO(PREFIX("10.1.2.0", 25)) ACCEPT) RULE("ip", "post", MASQ)			},
	{"for both halves",	    SILENT,
	 RULE("ip", "post", TO(PREFIX("10.1.2.128", 25)) ACCEPT) RULE("ip", "post", FROM(PREFIX("10.1.1.0", 25)) ACCEPT)
		 RULE("ip", "post", FROM(PREFIX("10.1.1.128", 25)) TO(PREFIX("10.1.2.0", 25)) ACCEPT) RULE("ip", "post", MASQ)},
	{"for TCP only",	    SURE,
	 RULE("ip", "post", TO(REMOTE) MATCH("==", META("l4proto"), "\"tcp\"") ACCEPT) RULE("ip", "post", MASQ)},
	{"perhaps",		    SURE,
	 RULE("ip", "post", TO(REMOTE) MATCH("==", META("mark"), "5") ACCEPT) RULE("ip", "post", MASQ)	  },
	{"on this interface",	    SILENT,
	 RULE("ip", "post", OIFNAME("wan0") TO(REMOTE) ACCEPT) RULE("ip", "post", MASQ)			},
	{"on another interface",    SURE,
	 RULE("ip", "post", OIFNAME("lte0") TO(REMOTE) ACCEPT) RULE("ip", "post", MASQ)			},
	{"by a limit",		    SURE,
	 RULE("ip", "post", TO(REMOTE) "{\"limit\":{\"rate\":5}}," ACCEPT) RULE("ip", "post", MASQ)	       },
	{"and logged",		    SILENT,
	 RULE("ip", "post", TO(REMOTE) "{\"log\":{}},{\"counter\":{}}," ACCEPT) RULE("ip", "post", MASQ)   },
	{"by kernel IPsec, which this is not", SURE,
	 RULE("ip", "post", MATCH("==", "{\"rt\":{\"key\":\"ipsec\"}}", "true") ACCEPT) RULE("ip", "post", MASQ)},
};

static void one_chain_of_nftables(void **state)
{
	char objects[8192];
	struct found got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(one_chain) / sizeof(*one_chain); i++) {
		snprintf(objects, sizeof(objects), "%s%s", CHAIN("ip", "post", BASE), one_chain[i].rules);
		judge_and_free(ruleset(objects, NULL), conf_of(LANS, ""), &got);
		expect(one_chain[i].what, one_chain[i].want, &got);
	}
}

/* ---- nftables: several chains -------------------------------------------------------------------- */

#define JUMP(chain) "{\"jump\":{\"target\":\"" chain "\"}}"
#define GOTO(chain) "{\"goto\":{\"target\":\"" chain "\"}}"
#define VMAP(elements) \
	"{\"vmap\":{\"key\":" META("oifname") ",\"data\":" elements "}}"
#define WAN OIFNAME("wan0")

static const struct {
	const char *what;
	enum verdict want;
	const char *objects;
} chains[] = {
	{"jump to it",		     SURE,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", WAN JUMP("a")) RULE("ip", "a", MASQ)   },
	{"jump to it elsewhere",     SILENT,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", OIFNAME("lte0") JUMP("a")) RULE("ip", "a", MASQ)},
	{"nobody jumps to it",	     SILENT, CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "a", MASQ)      },
	{"perhaps",		     MAY,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "")
		 RULE("ip", "post", WAN MATCH("==", META("mark"), "5") JUMP("a")) RULE("ip", "a", MASQ)	       },
	{"exempted before the jump", SILENT,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", WAN TO(REMOTE) ACCEPT)
		 RULE("ip", "post", WAN JUMP("a")) RULE("ip", "a", MASQ)					   },
	{"exempted by a chain",	     SILENT,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", JUMP("a")) RULE("ip", "post", WAN MASQ)
		 RULE("ip", "a", TO(REMOTE) ACCEPT)								    },
	{"return only goes back",    SURE,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", JUMP("a")) RULE("ip", "post", WAN MASQ)
		 RULE("ip", "a", TO(REMOTE) "{\"return\":null}")						   },
	{"return spares the rest of its chain", SILENT,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", WAN JUMP("a"))
		 RULE("ip", "a", TO(REMOTE) "{\"return\":null}") RULE("ip", "a", MASQ)			       },
	{"goto does not come back",  SILENT,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", WAN GOTO("a")) RULE("ip", "post", WAN MASQ)
		 RULE("ip", "a", "{\"counter\":{}}")							       },
	{"goto comes back to the caller's caller", SURE,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") CHAIN("ip", "b", "") RULE("ip", "post", WAN JUMP("a"))
		 RULE("ip", "post", WAN MASQ) RULE("ip", "a", GOTO("b")) RULE("ip", "a", WAN TO(REMOTE) ACCEPT)
			 RULE("ip", "b", "{\"counter\":{}}")						       },
	{"round and round",	     SURE,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", WAN JUMP("a")) RULE("ip", "a", JUMP("a"))
		 RULE("ip", "a", MASQ)									   },
	{"verdict map",		     SURE,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "")
		 RULE("ip", "post", VMAP("{\"set\":[[\"lan0\"," ACCEPT "],[\"wan0\"," JUMP("a") "]]}")) RULE("ip", "a", MASQ)},
	{"verdict map of others",    SILENT,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "")
		 RULE("ip", "post", VMAP("{\"set\":[[\"lan0\"," GOTO("a") "]]}")) RULE("ip", "a", MASQ)		  },
	{"verdict map exempts",	     SILENT,
	 CHAIN("ip", "post", BASE)
		 RULE("ip", "post", VMAP("{\"set\":[[\"wan0\"," ACCEPT "]]}")) RULE("ip", "post", WAN MASQ)		},
	{"verdict map that nobody knows", MAY,
	 CHAIN("ip", "post", BASE) CHAIN("ip", "a", "") RULE("ip", "post", VMAP("\"@zones\"")) RULE("ip", "a", WAN MASQ)},
	{"an accept in one base chain does not help in another", SURE,
	 CHAIN("ip", "first", BASE) CHAIN("ip", "post", BASE) RULE("ip", "first", TO(REMOTE) ACCEPT)
		 RULE("ip", "post", WAN MASQ)								       },
	{"another hook",	     SILENT, CHAIN("ip", "pre", PREROUTING) RULE("ip", "pre", MASQ)			},
	{"another type",	     SILENT,
	 CHAIN("ip", "f", ",\"type\":\"filter\",\"hook\":\"postrouting\",\"prio\":0") RULE("ip", "f", MASQ)	       },
	{"the other family",	     SILENT, CHAIN("ip6", "post", BASE) RULE("ip6", "post", WAN MASQ)		     },
	{"both families",	     SURE,   CHAIN("inet", "post", BASE) RULE("inet", "post", WAN MASQ)		      },
	{"one of both",		     SILENT,
	 CHAIN("inet", "post", BASE) RULE("inet", "post", WAN MATCH("==", META("nfproto"), "\"ipv6\"") MASQ)	},
	{"and the right one",	     SURE,
	 CHAIN("inet", "post", BASE) RULE("inet", "post", WAN MATCH("==", META("nfproto"), "\"ipv4\"") MASQ)	},
	{"an address is of a family", SILENT,
	 CHAIN("inet", "post", BASE)
		 RULE("inet", "post", WAN MATCH("!=", FIELD("ip6", "daddr"), "\"2001:db8::1\"") MASQ)		    },
	{"handle: its own table",    SILENT, CHAIN("ip", "post", BASE) CHAIN("inet", "a", "") RULE("ip", "post", JUMP("a")) RULE("inet", "a", MASQ)},
};

static void several_chains_of_nftables(void **state)
{
	struct found got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		judge_and_free(ruleset(chains[i].objects, NULL), conf_of(LANS, ""), &got);
		expect(chains[i].what, chains[i].want, &got);
	}
}

/* ---- policies ------------------------------------------------------------------------------------ */

#define MASQ_WAN  CHAIN("ip", "post", BASE) RULE("ip", "post", WAN MASQ)
#define MASQ_WAN6 CHAIN("ip6", "post", BASE) RULE("ip6", "post", WAN MASQ)

static const struct {
	const char *acl, *policy, *objects;
	enum verdict want;
	const char *remedy; /* all that stands behind ": " */
} policies[] = {
	{LANS, "", MASQ_WAN, SURE, "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.2.0/24 accept"},
	{"5 permit ip 2001:db8:1::/64 -> 2001:db8:2::/64", "", MASQ_WAN6, SURE,
	 "nft insert rule ip6 nat post ip6 saddr 2001:db8:1::/64 ip6 daddr 2001:db8:2::/64 accept"},
	{"5 permit ip 2001:db8:1::/64 -> 2001:db8:2::/64", "", MASQ_WAN, SILENT, NULL},
	{"5 permit tcp 10.1.1.0/24 -> 10.1.2.0/24 port 80-90", "", MASQ_WAN, SURE,
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.2.0/24 meta l4proto 6 th dport 80-90 accept"},
	{"5 permit tcp 10.1.1.0/24 -> 10.1.2.0/24", "",
	 CHAIN("ip", "post", BASE) RULE("ip", "post", MATCH("==", META("l4proto"), "\"udp\"") MASQ), SILENT, NULL},
	{"5 permit tcp 10.1.1.0/24 -> 10.1.2.0/24 port 80", "",
	 CHAIN("ip", "post", BASE) RULE("ip", "post", MATCH("==", FIELD("tcp", "dport"), "81") MASQ), SILENT, NULL},
	{"5 permit tcp 10.1.1.0/24 -> 10.1.2.0/24 port 80", "",
	 CHAIN("ip", "post", BASE)
		 RULE("ip", "post", TO(REMOTE) MATCH("==", FIELD("tcp", "dport"), "{\"range\":[1,100]}") ACCEPT)
			 RULE("ip", "post", WAN MASQ),
	 SILENT, NULL},
	/* What is denied is not protected. */
	{"5 deny ip 10.1.1.9/32 -> any; 10 permit ip 10.1.1.0/24 -> 10.1.2.0/24", "",
	 CHAIN("ip", "post", BASE) RULE("ip", "post", FROM("\"10.1.1.9\"") MASQ), SILENT, NULL},
	{"5 deny ip 10.1.1.9/32 -> any; 10 permit ip 10.1.1.0/24 -> 10.1.2.0/24", "",
	 CHAIN("ip", "post", BASE) RULE("ip", "post", FROM("\"10.1.1.8\"") MASQ), SURE,
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.2.0/24 accept"},
	/* Whatever it becomes, it is protected. */
	{"5 permit ip any -> 10.1.2.0/24", "", MASQ_WAN, SILENT, NULL},
	{"5 permit ip 10.1.1.0/24 -> 10.1.2.0/24; 6 permit ip 10.1.1.0/24 -> 10.1.3.0/24", "", MASQ_WAN, SURE,
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.2.0/24 accept; "
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.3.0/24 accept"},
	{"5 permit ip 10.1.1.0/24 -> 10.1.2.0/24; 6 permit ip 10.1.1.0/24 -> 10.1.3.0/24; 7 permit ip 10.1.1.0/24 -> "
	 "10.1.4.0/24; 8 permit ip 10.1.1.0/24 -> 10.1.5.0/24; 9 permit ip 10.1.1.0/24 -> 10.1.6.0/24",
	 "", MASQ_WAN, SURE,
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.2.0/24 accept; "
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.3.0/24 accept; "
	 "nft insert rule ip nat post ip saddr 10.1.1.0/24 ip daddr 10.1.4.0/24 accept; "
	 "and the same for 2 more permit rules of the policy"},
	{LANS, "",
	 CHAIN("ip", "POSTROUTING", BASE)
		 RULE("ip", "POSTROUTING", WAN "{\"xt\":{\"type\":\"target\",\"name\":\"MASQUERADE\"}}"),
	 SURE, "iptables-nft -t nat -I POSTROUTING -s 10.1.1.0/24 -d 10.1.2.0/24 -j ACCEPT"},
	{"5 permit udp 2001:db8:1::/64 port 53 -> 2001:db8:2::/64", "",
	 CHAIN("ip6", "POSTROUTING", BASE)
		 RULE("ip6", "POSTROUTING", WAN "{\"xt\":{\"type\":\"target\",\"name\":\"SNAT\"}}"),
	 SURE, "ip6tables-nft -t nat -I POSTROUTING -s 2001:db8:1::/64 -d 2001:db8:2::/64 -p 17 --sport 53 -j ACCEPT"},
};

static void the_remedy_is_of_the_policy(void **state)
{
	struct found got;
	const char *at;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		judge_and_free(ruleset(policies[i].objects, NULL), conf_of(policies[i].acl, policies[i].policy), &got);
		expect(policies[i].acl, policies[i].want, &got);
		if (!policies[i].remedy)
			continue;
		at = strstr(got.all, "in front of it: ");
		assert_non_null(at);
		got.all[strlen(got.all) - 1] = '\0';
		assert_string_equal(at + strlen("in front of it: "), policies[i].remedy);
	}
}

static void the_rule_is_named_and_what_happens_is_true(void **state)
{
	struct found got;

	(void)state;
	judge_and_free(ruleset(MASQ_WAN, NULL), conf_of(LANS, ""), &got);
	assert_non_null(strstr(got.all, "wan0: nftables rule ip nat post handle 7 (oifname wan0 masquerade) rewrites"));
	assert_non_null(strstr(got.all, "leave in clear"));
	judge_and_free(ruleset(MASQ_WAN, NULL), conf_of(LANS, "unmatched drop;"), &got);
	assert_null(strstr(got.all, "leave in clear"));
	assert_non_null(strstr(got.all, "are dropped"));
}

static void every_policy_interface_is_told_of(void **state)
{
	struct found got;

	(void)state;
	judge_and_free(ruleset(CHAIN("ip", "post", BASE) RULE("ip", "post", OIFNAME("ppp*") MASQ), NULL),
		       conf_of(LANS "; } interface ppp0 { role outside; policy map1 } interface ppp7 { role outside; policy map1", ""),
		       &got);
	assert_int_equal(got.n, 2);
	assert_non_null(strstr(got.all, "ppp0: nftables rule"));
	assert_non_null(strstr(got.all, "ppp7: nftables rule"));
}

/* Hundreds of policy rules, long names: one text, within its bounds. */
static void texts_have_bounds(void **state)
{
	static char acl[20000];
	struct found got;
	unsigned i;

	(void)state;
	for (i = 1; i <= 60; i++)
		snprintf(acl + strlen(acl), sizeof(acl) - strlen(acl),
			 "%u permit ip 2001:db8:1111:2222:3333:4444:5555:%x/128 -> 2001:db8:9999:%x::/64;", i, i, i);
	judge_and_free(ruleset(CHAIN("ip6", "post", BASE) RULE("ip6", "post", WAN MASQ), NULL), conf_of(acl, ""), &got);
	assert_int_equal(got.n, 1);
	assert_true(strlen(got.all) < WARNING_TEXT_SIZE);
	assert_non_null(strstr(got.all, "more permit rules of the policy\n"));
}

/* ---- named sets ---------------------------------------------------------------------------------- */

#define SETS(elements, flags)                                                                               \
	"{\"nftables\":[{\"metainfo\":{}},{\"set\":{\"family\":\"ip\",\"name\":\"nets\",\"table\":\"nat\"," \
	"\"type\":\"ipv4_addr\",\"handle\":3,\"flags\":[" flags "]" elements "}}]}\n"

static void named_sets_are_asked_for(void **state)
{
	static const char objects[] = CHAIN("ip", "post", BASE) CHAIN("ip", "pre", PREROUTING)
		RULE("ip", "pre", TO("\"@huge\"") ACCEPT) RULE("ip", "post", TO("\"@nets\"") ACCEPT)
			RULE("ip", "post", WAN MASQ);
	static const struct {
		const char *sets;
		enum verdict want;
	} t[] = {
		{NULL,								 SURE  },
		{SETS(",\"elem\":[" PREFIX("10.1.2.0", 24) "]", "\"interval\""), SILENT},
		{SETS(",\"elem\":[\"10.1.2.7\"]", ""),			    SURE  },
		{SETS("", ""),						     SURE  },
		{SETS(",\"elem\":[" PREFIX("10.1.2.0", 24) "]", "\"timeout\""),  SURE  },
	};
	struct nat_ruleset *rs = ruleset(objects, NULL);
	char *wanted = nat_wanted_set(rs, 0);
	struct found got;
	size_t i;

	(void)state;
	/* Not the one of a chain that has nothing to do with it. */
	assert_string_equal(wanted, "{\"nftables\":[{\"list\":{\"set\":{\"family\":\"ip\",\"table\":\"nat\","
				    "\"name\":\"nets\"}}}]}");
	free(wanted);
	assert_null(nat_wanted_set(rs, 1));
	nat_ruleset_free(rs);
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		judge_and_free(ruleset(objects, t[i].sets), conf_of(LANS, ""), &got);
		expect(t[i].sets ? t[i].sets : "unknown", t[i].want, &got);
	}
	rs = ruleset(MASQ_WAN, NULL);
	assert_null(nat_wanted_set(rs, 0));
	nat_ruleset_free(rs);
}

/* ---- iptables ------------------------------------------------------------------------------------ */

#define HEAD "# Generated by iptables-save\n*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [7:9]\n:A - [0:0]\n"
#define FOOT "COMMIT\n# Completed\n"

static const struct {
	enum verdict want;
	const char *rules;
} old[] = {
	{SILENT, ""										    },
	{SURE,   "-A POSTROUTING -j MASQUERADE\n"						     },
	{SURE,   "-A POSTROUTING -s 10.1.0.0/16 -o wan+ -j MASQUERADE --random\n"		       },
	{SILENT, "-A POSTROUTING -o ppp+ -j MASQUERADE\n"					    },
	{SILENT, "-A POSTROUTING ! -o wan0 -j MASQUERADE\n"					      },
	{SILENT, "-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE\n"				     },
	{SILENT, "-A POSTROUTING ! -d 10.1.2.0/24 -o wan0 -j MASQUERADE\n"			   },
	{SILENT, "-A POSTROUTING -m iprange ! --dst-range 10.1.2.0-10.1.2.255 -o wan0 -j MASQUERADE\n"	   },
	{SURE,   "-A POSTROUTING -o wan0 -p tcp -m multiport --dports 80,443:445 -j SNAT --to-source 192.0.2.1:1-9\n"},
	{SILENT, "-A POSTROUTING -o wan0 -j SNAT --to-source 10.1.1.77\n"			      },
	{SURE,   "-A POSTROUTING -o wan0 -m comment --comment \"a -j ACCEPT \\\"b\\\"\" -j MASQUERADE\n"   },
	{MAY,    "-A POSTROUTING -o wan0 -m mark --mark 0x1 -j MASQUERADE\n"			     },
	{MAY,    "-A POSTROUTING -o wan0 -m set ! --match-set nets dst -j MASQUERADE\n"		  },
	{SILENT, "-A POSTROUTING -d 10.1.2.0/24 -j ACCEPT\n-A POSTROUTING -o wan0 -j MASQUERADE\n"	       },
	{SURE,   "-A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT\n-A POSTROUTING -o wan0 -j MASQUERADE\n"},
	{SURE,   "-A POSTROUTING -o wan0 -j A\n-A A -j MASQUERADE\n"				   },
	{SILENT, "-A POSTROUTING -o wan0 -j A\n-A A -d 10.1.2.0/24 -j RETURN\n-A A -j MASQUERADE\n"	},
	{SILENT, "-A POSTROUTING -o wan0 -g A\n-A POSTROUTING -o wan0 -j MASQUERADE\n"			},
	{SURE,   "-A POSTROUTING -o wan0 -j LOG --log-prefix \"x \"\n-A POSTROUTING -o wan0 -j MASQUERADE\n"},
	{SILENT, "-A PREROUTING -j A\n-A A -j MASQUERADE\n"					      },
};

static void iptables_of_the_old_kind(void **state)
{
	struct nat_ruleset *rs;
	struct found got;
	char save[2048];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(old) / sizeof(*old); i++) {
		snprintf(save, sizeof(save), "%s%s%s", HEAD, old[i].rules, FOOT);
		assert_int_equal(nat_ruleset_new(&rs), 0);
		assert_int_equal(nat_add_iptables(rs, AF_INET, save, strlen(save)), 0);
		judge_and_free(rs, conf_of(LANS, ""), &got);
		if (got.n && strstr(old[i].rules, "-o wan")) {
			assert_non_null(strstr(got.all, "iptables rule ip nat "));
			assert_non_null(strstr(got.all, "iptables-legacy -t nat -I POSTROUTING "));
		}
		expect(old[i].rules, old[i].want, &got);
	}
}

/* ---- what is not a ruleset ------------------------------------------------------------------------ */

static void nonsense_is_said_to_be_that(void **state)
{
	static const char *const bad_json[] = {"", "{", "[]", "{\"nftables\":7}", "{\"nftables\":[]} {", "nft: oops"};
	static const char *const bad_save[] = {"", "*nat\n:POSTROUTING ACCEPT [0:0]\n", "*filter\nCOMMIT\n"};
	static const char *const odd[] = {"{\"nftables\":[7,null,{\"rule\":null},{\"chain\":[]},{\"rule\":{\"expr\":7}}]}",
					  "{\"nftables\":[{\"chain\":{\"type\":\"nat\",\"hook\":\"postrouting\"}},"
					  "{\"rule\":{\"expr\":[7,{\"match\":7},{\"vmap\":{\"data\":{\"set\":[7,[]]}}}]}}]}"};
	struct nat_ruleset *rs;
	struct found got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad_json) / sizeof(*bad_json); i++) {
		assert_int_equal(nat_ruleset_new(&rs), 0);
		/* Nothing at all is what a tool leaves that was ended at once. */
		assert_int_equal(nat_add_nft(rs, bad_json[i], strlen(bad_json[i]), NULL, 0), -EBADMSG);
		nat_ruleset_free(rs);
	}
	for (i = 0; i < sizeof(bad_save) / sizeof(*bad_save); i++) {
		assert_int_equal(nat_ruleset_new(&rs), 0);
		assert_int_equal(nat_add_iptables(rs, AF_INET, bad_save[i], strlen(bad_save[i])), -EBADMSG);
		nat_ruleset_free(rs);
	}
	for (i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		assert_int_equal(nat_ruleset_new(&rs), 0);
		assert_int_equal(nat_add_nft(rs, odd[i], strlen(odd[i]), NULL, 0), 0);
		judge_and_free(rs, conf_of(LANS, ""), &got);
		assert_int_equal(got.n, 0);
	}
}

/* Chains that jump to each other twice at every level: 2^15 ways, which nobody waits for. */
static void work_has_bounds(void **state)
{
	static char objects[15000];
	struct found got;
	unsigned i, k;

	(void)state;
	strcpy(objects, CHAIN("ip", "post", BASE) RULE("ip", "post", WAN JUMP("c0")));
	for (i = 0; i < 15; i++) {
		char chain[1024];

		snprintf(chain, sizeof(chain), "{\"chain\":{\"family\":\"ip\",\"table\":\"nat\",\"name\":\"c%u\"}},", i);
		strcat(objects, chain);
		for (k = 0; k < 6; k++) {
			snprintf(chain, sizeof(chain),
				 "{\"rule\":{\"family\":\"ip\",\"table\":\"nat\",\"chain\":\"c%u\",\"expr\":[{\"jump\":"
				 "{\"target\":\"c%u\"}}]}},", i, i + 1);
			strcat(objects, chain);
		}
	}
	judge_and_free(ruleset(objects, NULL), conf_of(LANS, ""), &got);
	assert_int_equal(got.n, 1);
	assert_non_null(strstr(got.all, "too many"));
}

/* clang-format on */

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_chain_of_nftables),
		cmocka_unit_test(several_chains_of_nftables),
		cmocka_unit_test(the_remedy_is_of_the_policy),
		cmocka_unit_test(the_rule_is_named_and_what_happens_is_true),
		cmocka_unit_test(every_policy_interface_is_told_of),
		cmocka_unit_test(texts_have_bounds),
		cmocka_unit_test(named_sets_are_asked_for),
		cmocka_unit_test(iptables_of_the_old_kind),
		cmocka_unit_test(nonsense_is_said_to_be_that),
		cmocka_unit_test(work_has_bounds),
	};
	return cmocka_run_group_tests(tests, make_key, remove_key);
}
