// SPDX-License-Identifier: BSD-2-Clause
/* What is wrong with a file is told with its place, all of it at once, and nothing is told twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf.h"
#include "scratch.h"

/* A whole configuration in four lines; cases replace one of them or go on from line 5. */
#define IFC "interface wan0 { policy m }\n"
#define PROP \
	"ike-proposal i { encryption aes256gcm16; dh x25519 } esp-proposal e { encryption aes256gcm16 }\n"
#define PEER   "peer hq { remote 2.1.1.1; psk file:hq.psk; ike i }\n"
#define POLICY "policy m { 10 isakmp { peer hq; acl a; esp e } }\n"
#define ACL    "acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24 }\n"
#define HEAD   IFC PROP PEER POLICY

#define W(text) "warning: " text
#define E(text) "error: " text
#define NOTHING                                                                                          \
	"no interface has a policy, so nothing would be protected; who wants that stops aditd and says " \
	"aditd --unload"

static const struct {
	const char *text;
	const char *want[8];
} t[] = {
	/* nothing to guard: what an editor that crashed leaves behind */
	{"",													  {E(NOTHING)}									  },
	{"interface lan0 { role inside }\n" PROP PEER POLICY ACL,
	 {E(NOTHING), "4:8: " W("policy \"m\" is used by no interface")}																    },
 /* ---- syntax: lexer and braces -------------------------------------------------------------- */
	{HEAD "acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24",
	 {"5:5: " E("acl \"a\" is never closed: \"}\" is missing")}																	 },
	{"interface wan0 { policy m\n" PROP PEER POLICY ACL,
	 {"2:1: " E("\"}\" of interface \"wan0\" (1:11) is missing before this")}															   },
	{HEAD ACL "}",												{"6:1: " E("\"}\" without a block that it could close")}			       },
	{HEAD ACL "adit { log \"info\n}",									     {"6:12: " E("a quote that is not closed on its line")}				},
	{HEAD ACL "adit { log\x01 info }",									    {"6:11: " E("a control character (0x01)")}					     },
	{HEAD ACL "adit log",											 {"6:6: " E("expected \"{\" after adit, not \"log\"")}				   },
	{HEAD ACL "interface { role inside }",									{"6:1: " E("interface lacks a name")}						    },
	{HEAD ACL "{ x }",											    {"6:1: " E("a block starts with its kind")}					      },
	{HEAD ACL "adit { log info debug }",									  {"6:17: " E("log takes 1 value, so \"debug\" is too much")}				},
	{"interface wan0 { mtu 1500 policy m }\n" PROP PEER POLICY ACL,
	 {"1:27: " E("\";\" or a new line is missing before \"policy\"")}																   },
	{HEAD ACL "interfac lan0 { role inside }",
	 {"6:1: " E("unknown block \"interfac\" (did you mean \"interface\"?)")}															    },
	{HEAD ACL "interface eth0123456789abc { role inside }",
	 {"6:11: " E("the name of this interface has 16 characters; allowed: 1 to 15")}														     },
	{HEAD ACL "interface a/b { role inside }",
	 {"6:11: " E("\"a/b\": names are made of letters, digits and _ . : -")}															     },

 /* ---- keys ---------------------------------------------------------------------------------- */
	{HEAD ACL "interface lan0 { roel inside }\ninterface lan1 { role inside; colour red; dh x25519 }",
	 {"6:11: " E("interface \"lan0\" lacks a policy: add \"policy NAME\", or \"role inside\""),
	  "6:18: " E("unknown key \"roel\" in interface \"lan0\" (did you mean \"role\"?)"),
	  "7:31: " E("unknown key \"colour\" in interface \"lan1\""),
	  "7:43: " E("unknown key \"dh\" in interface \"lan1\" (it belongs into ike-proposal)")}													    },
	{IFC "ike-proposal i { encrytion aes256gcm16; dh x25519 } esp-proposal e { encryption aes256gcm16 "
	     "}\n" PEER POLICY ACL,
	 {"2:18: " E("unknown key \"encrytion\" in ike-proposal \"i\" (did you mean \"encryption\"?)")}												       },
	{HEAD ACL "adit { log info\n log debug }\nadit { }",
	 {"7:2: " E("second \"log\" in adit (the first is at 6:12)"),
	  "8:1: " E("second adit block (the first is at 6:1)")}																	     },
	{IFC PROP "peer hq { version 2 }\n" POLICY ACL,
	 {"2:14: " W("ike-proposal \"i\" is used by no peer"), "3:6: " E("peer \"hq\" lacks \"remote\""),
	  "3:6: " E("peer \"hq\" lacks \"psk\""), "3:6: " E("peer \"hq\" lacks \"ike\"")}														   },

 /* what no rule is asked about (include/adit/exempt.h), and what stands beside it */
	{HEAD "acl a { 1 permit ip 10.1.0.0/16 -> 224.0.0.18\n2 permit ip fd02::/16 -> ff32::/16\n"
	      "3 deny ip fd03::/16 -> fe80::/64\n4 permit udp 10.4.0.0/16 -> 255.255.255.255\n"
	      "5 permit ip 10.5.0.0/16 -> 224.0.1.0/24\n6 permit ip 10.6.0.0/16 -> 224.0.0.0/23\n"
	      "7 permit ip fd07::/16 -> ff00::/8\n8 permit ip fd08::/16 -> ff05::/16\n"
	      "9 permit ip fd09::/16 -> fe00::/8\n10 permit ip 10.10.0.0/16 -> 255.255.255.254 }",	   {"5:9: " E("rule 1 of acl \"a\" cannot protect: what goes to 224.0.0.0/24 passes in clear without "
		    "being asked: "
		    "groups of the link (RFC 5771 4)"),
	  "6:1: " E("rule 2 of acl \"a\" cannot protect: what goes to ff02::/16 passes in clear without "
		    "being asked: "
		    "groups of the link, any flags (RFC 4291 2.7)"),
	  "7:1: " W(
		  "rule 3 of acl \"a\" is never reached: what goes to fe80::/10 passes without being asked: "
		  "link-local unicast (RFC 4291 2.5.6)"),
	  "8:1: " E("rule 4 of acl \"a\" cannot protect: what goes to 255.255.255.255 passes in clear "
		    "without being asked: "
		    "this link's broadcast, such as DHCP (RFC 919 7)")}			       },

 /* ---- values -------------------------------------------------------------------------------- */
	{"interface wan0 { policy m; mtu 15; df-bit keep; tcp-mss huge; xdp offload }\n" PROP PEER POLICY ACL,
	 {"1:32: " E("mtu cannot be \"15\"; allowed: 576 to 9000, auto"),
	  "1:43: " E("df-bit cannot be \"keep\"; allowed: copy, set, clear"),
	  "1:57: " E("tcp-mss cannot be \"huge\"; allowed: 200 to 8960, auto, off"),
	  "1:67: " E("xdp offload: no device runs these programs itself; allowed: auto, native, generic")}												  },
	{IFC "ike-proposal i { encryption aes265; dh x25519; lifetime 24 } "
	     "esp-proposal e { encryption aes256gcm16; lifetime 1y; lifetime-bytes 99 }\n" PEER POLICY ACL,
	 {"2:29: " E("encryption cannot be \"aes265\" (did you mean \"aes256\"?); allowed: aes256gcm16, "
		     "aes192gcm16, "
		     "aes128gcm16, aes256, aes192, aes128"),
	  "2:57: " E("lifetime 24 lacks a unit, as in 20s, 10m, 24h, 7d"),
	  "2:112: " E("lifetime cannot be \"1y\"; allowed: 10s to 30d"),
	  "2:131: " E("lifetime-bytes 99 lacks a unit, as in 500MB, 10GB")}																 },
	{IFC "ike-proposal i { encryption 3des; dh x25519 x25519 } "
	     "esp-proposal e { protocol ah; mode transport; encryption aes256gcm16 }\n" PEER POLICY ACL,
	 {"2:29: " E("encryption 3des: too weak to offer; allowed: aes256gcm16, aes192gcm16, aes128gcm16, "
		     "aes256, "
		     "aes192, aes128"),
	  "2:45: " E("dh names x25519 twice"), "2:80: " E("protocol ah: not there yet; allowed: esp"),
	  "2:89: " E("mode transport: not there yet; allowed: tunnel")}																     },
	{IFC "ike-proposal i { encryption aes256gcm16 aes256; dh x25519 } "
	     "esp-proposal e { encryption aes256gcm16; integrity sha256 }\n" PEER POLICY ACL
	     "esp-proposal c { encryption aes128 }\nesp-proposal d { encryption aes192; integrity sha512 }", {"2:29: " E("ike-proposal \"i\" mixes GCM and CBC ciphers: write two proposals and name both where "
		     "they are "
		     "used"),
	  "2:112: " E("esp-proposal \"e\": GCM guards integrity itself, so integrity has to go"),
	  "6:14: " W("esp-proposal \"c\" is used by no policy"),
	  "6:29: " E("esp-proposal \"c\": CBC ciphers need integrity, for instance \"integrity sha256\""),
	  "7:14: " W("esp-proposal \"d\" is used by no policy")}			},

 /* ---- peers --------------------------------------------------------------------------------- */
	{IFC PROP "peer hq { version 1; remote 2.1.1.0/24; local-id hq; remote-id keyid:xy; psk file:hq.psk; "
		  "ike i; dpd { "
		  "retries 0; intervall 3s } }\n" POLICY ACL,
	 {"3:19: " E("version 1: IKEv1 is not there yet; allowed: 2"),
	  "3:29: " E("remote cannot be \"2.1.1.0/24\": neither an IPv4 or IPv6 address nor any (a prefix "
		     "does not "
		     "belong here)"),
	  "3:50: " E("local-id \"hq\": say what kind it is: fqdn:, email:, address: or keyid:"),
	  "3:64: " E("remote-id \"keyid:xy\": keyid: takes hexadecimal digits"),
	  "3:112: " E("retries cannot be \"0\"; allowed: 1 to 30"),
	  "3:115: " E("unknown key \"intervall\" in dpd of peer \"hq\" (did you mean \"interval\"?)")}												      },
	{IFC PROP "peer hq { remote any; psk my secret words; ike i }\n"
		  "policy m { 10 isakmp { peer hq; acl a; esp e; trigger auto } }\n" ACL,
	 {"3:18: " E("peer \"hq\" calls from anywhere, so say who it must be: \"remote-id fqdn:NAME\""),
	  "3:27: " E("psk takes file:PATH: whoever reads the configuration would read the key too; put it "
		     "into a "
		     "file of mode 0600"),
	  "4:55: " E(
		  "entry 10 of policy \"m\" cannot connect by itself: peer \"hq\" has remote any (3:18)")}												  },
	{IFC PROP "peer hq { local ::1; remote 2.1.1.1; psk file:hq.psk; ike i }\n" POLICY ACL,
	 {"3:29: " E("peer \"hq\": local (3:17) and remote are of two families")}															   },
	{HEAD ACL "peer twin { remote 2.1.1.1; psk file:hq.psk; ike i }",
	 {"6:6: " W("peer \"twin\" is used by no policy"),
	  "6:20: " W("peer \"twin\" cannot be told from peer \"hq\" (3:6): same addresses, same remote-id")}												    },

 /* ---- rules --------------------------------------------------------------------------------- */
	{HEAD "acl a {\n5 permit ip 10.1.1.1/24 -> any\n6 permi ip any -> any\n7 permit foo any -> any\n"
	      "8 permit icmp any port 3 -> any\n9 permit ip any -> any\n10 permit ip 10.0.0.0/8 -> ::1\n}",	 {"5:5: " W("acl \"a\" permits nothing, so it protects nothing"),
	  "6:13: " E("\"10.1.1.1/24\" has bits set behind its prefix: the network is 10.1.1.0/24, the host "
		     "alone "
		     "10.1.1.1"),
	  "7:3: " E("expected permit or deny (did you mean \"permit\"?), not \"permi\""),
	  "8:10: " E("expected a protocol (ip, tcp, udp, icmp, icmpv6, gre, sctp, ospf, l2tp, 1 to 255), not "
		     "\"foo\""),
	  "9:19: " E("a port needs tcp, udp or sctp"),
	  "10:13: " E("any -> any does not say which family to protect: write 0.0.0.0/0 or ::/0"),
	  "11:28: " E("\"10.0.0.0/8\" and \"::1\" are of two families; a rule has one")}},
	{HEAD
	 "acl a {\n5 permit tcp 10.0.0.0/8 port 9-5 -> any\n6 permit tcp 10.0.0.0/8 10.0.0.1\n"
	 "7 permit ip 10.0.0.0/8 ->\n8 permit ip 10.0.0.0/8 -> any any\n0 deny ip any -> any\npermit ip\n"
	 "9 permit icmpv6 10.0.0.0/8 -> any }",							      {"5:5: " W("acl \"a\" permits nothing, so it protects nothing"),
	  "6:30: " E("expected a port or a range like 1000-2000, not \"9-5\""),
	  "7:25: " E("expected port or ->, not \"10.0.0.1\""),
	  "8:24: " E("expected an address, a prefix or any after \"->\""),
	  "9:31: " E("expected \";\" or a new line, not \"any\""),
	  "10:1: " E("\"0\": numbers go from 1 to 65535"),
	  "11:1: " E("a rule starts with its number, as in \"5 permit ip 10.1.1.0/24 -> 10.1.2.0/24\""),
	  "12:17: " E("icmp is for IPv4 and icmpv6 for IPv6")}										      },
	{HEAD "acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24\n5 permit ip 10.1.1.0/24 -> 10.1.3.0/24 }",
	 {"6:1: " E("second rule 5 in acl \"a\" (the first is at 5:9)")}																    },

 /* ---- references and policies --------------------------------------------------------------- */
	{IFC PROP PEER "policy m { 10 isakmp { peer hg; acl b; esp e }\n10 isakmp { peer hq; acl a; esp e "
		       "}\n20 manual { } }\n" ACL,
	 {"4:29: " E("there is no peer \"hg\" (did you mean \"hq\"?)"),
	  "4:37: " E("there is no acl \"b\" (did you mean \"a\"?)"),
	  "5:1: " E("second entry 10 in policy \"m\" (the first is at 4:12)"),
	  "6:4: " E("entry 20 cannot be \"manual\": not there yet; allowed: isakmp")}														       },
	{HEAD ACL ACL,												{"6:5: " E("second acl \"a\" (the first is at 5:5)")}				    },
	{"interface wan0 { role inside; policy m; tcp-mss off }\n" PROP PEER POLICY ACL,
	 {"1:38: " E("interface \"wan0\" is inside (1:23): a policy belongs onto the outside interface"),
	  "1:49: " W("tcp-mss means nothing on an inside interface")}																       },
};

/* Nothing here stops a gateway, all of it is said. */
static const struct {
	const char *text;
	const char *want[4];
} warned[] = {
	{HEAD "acl a { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24\n100 deny ip any -> any }\n",			    {NULL}												  },
	{IFC PROP PEER
	 "policy m { 10 isakmp { peer hq; acl a; esp e }; 20 isakmp { peer hq; acl b; esp e } }\n"
	 "acl a { 5 permit ip 10.1.2.0/24 -> 10.1.1.0/24; 100 deny ip any -> any }\n"
	 "acl b { 5 permit ip 10.1.0.0/16 -> 10.3.0.0/16; 7 permit tcp 10.1.2.1 -> 10.1.1.0/25 }",	 {"6:9: " W("rule m/20/5 is never reached: the deny rule m/10/100 (5:49) matches all of it first"),
	  "6:49: " W("rule m/20/7 is never reached: m/10/5 (5:9) matches all of it first, for peer \"hq\"")}},
	{IFC PROP PEER
	 "policy m { 10 isakmp { peer hq; acl a; esp e }; 20 isakmp { peer hq; acl b; esp e } }\n"
	 "acl a { 5 permit tcp 10.1.2.0/24 port 80 -> 10.1.1.0/24 }\n"
	 "acl b { 3 deny ip 10.1.0.0/17 -> 10.9.0.0/16; 5 permit ip 10.1.0.0/16 -> 10.1.0.0/16 }",	 {"6:47: " W("rule m/20/5 overlaps m/10/5 (5:9): 10.1.2.0/24 -> 10.1.1.0/24 matches both and goes to "
		     "peer "
		     "\"hq\"")}									     },
	{IFC PROP PEER
	 "policy m { 10 isakmp { peer hq; acl a; esp e }; 20 isakmp { peer hq; acl a; esp e } }\n" ACL,
	 {"4:74: " W(
		 "rule m/20/5 is never reached: m/10/5 (4:37) matches all of it first, for peer \"hq\"")}													      },
	{IFC "policy m { }\nacl x { 1 deny ip any -> any }",
	 {"2:8: " W("policy \"m\" has no entry, so it protects nothing"),
	  "3:5: " W("acl \"x\" is used by no policy"),
	  "3:5: " W("acl \"x\" permits nothing, so it protects nothing")}																	      },
};

static int parse(const char *text, struct conf_diag *diag)
{
	struct conf *c = NULL;
	char path[128];
	int err;

	snprintf(path, sizeof(path), "%s/x.conf", scratch_dir());
	err = conf_parse(text, strlen(text), path, &c, diag);
	assert_true((err == 0) == (c != NULL));
	conf_free(c);
	snprintf(diag->file, sizeof(diag->file), "x");
	return err;
}

static void expect(const char *text, const char *const *want, unsigned max, const struct conf_diag *diag)
{
	char line[1024], full[1024];
	unsigned i, n = 0;

	while (n < max && want[n])
		n++;
	for (i = 0; i < n && i < diag->n; i++) {
		snprintf(full, sizeof(full), want[i][0] >= '0' && want[i][0] <= '9' ? "x:%s" : "x: %s",
			 want[i]);
		assert_string_equal(conf_diag_line(diag, i, line, sizeof(line)), full);
	}
	if (diag->n != n) {
		conf_diag_print(diag, stderr);
		fail_msg("%u messages, expected %u, for:\n%s", diag->n, n, text);
	}
}

static void every_error_has_its_place(void **state)
{
	static struct conf_diag diag;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int err = parse(t[i].text, &diag);
		bool only_warnings = true;
		unsigned j;

		expect(t[i].text, t[i].want, 8, &diag);
		for (j = 0; j < diag.n; j++)
			only_warnings &= !diag.v[j].error;
		assert_int_equal(err, only_warnings ? 0 : -EINVAL);
	}
}

static void warnings_do_not_stop(void **state)
{
	static struct conf_diag diag;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(warned) / sizeof(warned[0]); i++) {
		assert_int_equal(parse(warned[i].text, &diag), 0);
		expect(warned[i].text, warned[i].want, 4, &diag);
	}
}

static void an_inline_key_is_never_repeated(void **state)
{
	static struct conf_diag diag;
	char line[1024];
	unsigned i;

	(void)state;
	parse(IFC PROP "peer hq { remote any; psk hunter2 hunter3; ike i }\n" POLICY ACL, &diag);
	assert_true(diag.errors > 0);
	for (i = 0; i < diag.n; i++)
		assert_null(strstr(conf_diag_line(&diag, i, line, sizeof(line)), "hunter"));
}

static void the_list_is_bounded_and_errors_come_first(void **state)
{
	static struct conf_diag diag;
	static char text[65536];
	char line[128];
	size_t n = 0;
	unsigned i, kept = 0;

	(void)state;
	for (i = 0; i < 500; i++)
		n += snprintf(text + n, sizeof(text) - n, "acl a%u { 1 deny ip any -> any }\n", i);
	snprintf(text + n, sizeof(text) - n, "peer hq { }\n");
	assert_int_equal(parse(text, &diag), -EINVAL);
	assert_int_equal(diag.n, CONF_DIAG_MAX);
	assert_int_equal(diag.errors, 3);
	for (i = 0; i < diag.n; i++)
		kept += diag.v[i].error;
	assert_int_equal(kept, 3);
	/* 500 acls that permit nothing, 500 unused, 1 peer unused. */
	assert_string_equal(conf_diag_summary(&diag, line, sizeof(line)),
			    "1004 problems (3 errors), 940 not shown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_place),
		cmocka_unit_test(warnings_do_not_stop),
		cmocka_unit_test(an_inline_key_is_never_repeated),
		cmocka_unit_test(the_list_is_bounded_and_errors_come_first),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
