/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration as plain structs: written once by conf_load, read-only for everyone after that.
 *
 * Every object carries the place where it stands, and every value that a message may cite carries its own
 * in `at`; line 0 there means the value was not written and the default holds.  Algorithms are IANA
 * transform numbers (RFC 7296 3.3.2) with the key length that goes into the Key Length attribute.
 *
 *	struct conf_diag diag;
 *	struct conf *c;
 *
 *	if (conf_load(path, &c, &diag)) { conf_diag_print(&diag, stderr); return; }
 *	conf_read_secrets(c, &diag);         only where keys are needed, while files can still be opened
 *	... conf_wipe_secrets(c); conf_free(c);
 */
#ifndef ADIT_CONF_H
#define ADIT_CONF_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"

#define CONF_NAME_SIZE	  32	  /* with the closing NUL */
#define CONF_RULE_SIZE	  32	  /* "map1/10/5"; what the maps hold */
#define CONF_NUMBER_MAX	  65535	  /* of rules and entries */
#define CONF_ID_MAX	  255	  /* octets of an identity */
#define CONF_PSK_MAX	  256	  /* octets of a pre-shared key */
#define CONF_LIST_MAX	  8	  /* values of one key: algorithms, proposals */
#define CONF_FILE_MAX	  8388608 /* octets of the file */
#define CONF_CHILDREN_MAX 64	  /* permit rules of one peer: what IKE serves */
#define CONF_RULES_MAX	  20000	  /* rules of all policies together */
#define CONF_DIAG_MAX	  64	  /* messages kept; the rest is counted */
#define CONF_WRONG_SIZE	  384	  /* why a key cannot be used; printable */

struct conf_loc {
	unsigned line, col; /* from 1; line 0: nowhere */
};

/* ---- values -------------------------------------------------------------------------------- */

enum conf_transform { CONF_ENCRYPTION = 1, CONF_PRF = 2, CONF_INTEGRITY = 3, CONF_DH = 4 };

struct conf_alg {
	uint16_t id;	   /* of its transform type */
	uint16_t key_bits; /* encryption only, else 0 */
};

/* In the order of preference they were written in. */
struct conf_algs {
	struct conf_alg v[CONF_LIST_MAX];
	unsigned n;
};

enum conf_id_type {		      /* RFC 7296 3.5, numbers of the wire */
		    CONF_ID_NONE = 0, /* local: the address in use stands for it; remote: "any" was written */
		    CONF_ID_IPV4 = 1,
		    CONF_ID_FQDN = 2,
		    CONF_ID_EMAIL = 3,
		    CONF_ID_IPV6 = 5,
		    CONF_ID_KEYID = 11,
};

struct conf_id {
	enum conf_id_type type;
	uint8_t len;
	uint8_t octets[CONF_ID_MAX + 1]; /* as on the wire; a NUL follows */
};

enum conf_role { CONF_OUTSIDE, CONF_INSIDE };
enum conf_df_bit { CONF_DF_COPY, CONF_DF_SET, CONF_DF_CLEAR };
enum conf_xdp { CONF_XDP_AUTO, CONF_XDP_NATIVE, CONF_XDP_GENERIC };
enum conf_switch { CONF_AUTO, CONF_ON, CONF_OFF };
enum conf_clear { CONF_BYPASS, CONF_DROP }; /* what happens to traffic that is not protected */
enum conf_nat { CONF_NAT_NO, CONF_NAT_YES, CONF_NAT_FORCE }; /* force: UDP encapsulation without a NAT too */
enum conf_trigger { CONF_ON_TRAFFIC, CONF_ON_START };
enum conf_esn { CONF_ESN_NO, CONF_ESN_YES, CONF_ESN_BOTH }; /* both: 64 bits preferred, 32 accepted */
enum { CONF_MSS_AUTO = -1, CONF_MSS_OFF = 0 };

/* ---- objects ------------------------------------------------------------------------------- */

struct conf_adit {
	struct conf_loc loc;
	int log; /* enum log_level of lib/log.h */
	struct {
		struct conf_loc log;
	} at;
};

struct conf_interface {
	struct conf_loc loc;
	char name[IFNAMSIZ];
	enum conf_role role;
	const struct conf_policy *policy; /* outside: always there; inside: NULL */
	unsigned mtu;			  /* 0: the kernel's */
	enum conf_df_bit df_bit;
	int tcp_mss; /* CONF_MSS_AUTO, CONF_MSS_OFF or octets */
	enum conf_xdp xdp;
	enum conf_switch zero_copy; /* auto or off */
	enum conf_switch fast_path;
	struct {
		struct conf_loc role, policy, mtu, df_bit, tcp_mss, xdp, zero_copy, fast_path;
	} at;
};

/* All encryptions of one proposal are AEAD (integrity.n == 0) or none is (integrity.n > 0). */
struct conf_ike_proposal {
	struct conf_loc loc;
	char name[CONF_NAME_SIZE];
	struct conf_algs encryption, integrity, prf, dh;
	unsigned lifetime_s;
	struct {
		struct conf_loc encryption, integrity, prf, dh, lifetime;
	} at;
};

struct conf_esp_proposal {
	struct conf_loc loc;
	char name[CONF_NAME_SIZE];
	unsigned protocol; /* 50 */
	unsigned mode;	   /* tunnel: 0 */
	struct conf_algs encryption, integrity;
	enum conf_esn esn;
	unsigned lifetime_s;
	uint64_t lifetime_bytes; /* 0: no limit */
	unsigned replay_window;	 /* packets; 0: no check */
	struct {
		struct conf_loc protocol, mode, encryption, integrity, esn, lifetime, lifetime_bytes,
			replay_window;
	} at;
};

struct conf_peer {
	struct conf_loc loc;
	char name[CONF_NAME_SIZE];
	unsigned version;
	bool local_any, remote_any;	    /* remote any: it calls us, we never call */
	struct addr local, remote;	    /* unspecified when any */
	struct conf_id local_id, remote_id; /* remote_id not written: filled with the remote address */
	char *psk_path; /* relative names are taken from the folder of the configuration */
	const struct conf_ike_proposal *ike[CONF_LIST_MAX];
	unsigned n_ike;
	enum conf_nat nat_traversal;
	struct {
		struct conf_loc loc;
		unsigned idle_s; /* 0: off */
		unsigned interval_s;
		unsigned retries;
		struct {
			struct conf_loc idle, interval, retries;
		} at;
	} dpd;
	uint8_t *psk; /* NULL until conf_read_secrets, and after it when psk_wrong says why */
	size_t psk_len;
	char psk_wrong[CONF_WRONG_SIZE];
	struct {
		struct conf_loc version, local, remote, local_id, remote_id, psk, ike, nat_traversal, dpd;
	} at;
};

struct conf_acl_rule {
	struct conf_loc loc;
	uint32_t number;
	bool permit;
	/* AF_INET or AF_INET6; AF_UNSPEC: "deny .. any -> any", whose ranges span both families. */
	int family;
	uint8_t protocol; /* 0: every protocol */
	struct addr_range local, remote;
	uint16_t local_port[2], remote_port[2]; /* from, to; 0 and 65535: every port */
};

struct conf_acl {
	struct conf_loc loc;
	char name[CONF_NAME_SIZE];
	struct conf_acl_rule **rules; /* by number */
	size_t n_rules;
};

struct conf_entry {
	struct conf_loc loc;
	uint32_t number;
	const struct conf_peer *peer;
	const struct conf_acl *acl;
	const struct conf_esp_proposal *esp[CONF_LIST_MAX];
	unsigned n_esp;
	struct conf_algs pfs; /* one or none */
	enum conf_trigger trigger;
	struct {
		struct conf_loc peer, acl, esp, pfs, trigger;
	} at;
};

struct conf_policy {
	struct conf_loc loc;
	char name[CONF_NAME_SIZE];
	uint32_t id; /* unique, never 0; made of the name, so it survives a reload */
	enum conf_clear deny_action, unmatched;
	struct conf_entry **entries; /* by number */
	size_t n_entries;
	size_t first_rule, n_rules; /* its part of conf.rules */
	struct {
		struct conf_loc deny_action, unmatched;
	} at;
};

/* One acl rule as one entry of one policy uses it: what becomes a row of the SPD, and, when it permits, one
 * child SA.  The id comes from the name, so it survives a reload that adds or removes other rules. */
struct conf_rule {
	uint32_t id; /* unique, never 0 */
	char name[CONF_RULE_SIZE];
	const struct conf_policy *policy;
	const struct conf_entry *entry;
	const struct conf_acl_rule *match;
};

struct conf {
	char *path;
	char *text; /* as conf_load read it; NULL: it came from memory */
	size_t text_len;
	struct conf_adit adit;
	struct conf_interface **interfaces;
	size_t n_interfaces;
	struct conf_ike_proposal **ike_proposals;
	size_t n_ike_proposals;
	struct conf_esp_proposal **esp_proposals;
	size_t n_esp_proposals;
	struct conf_peer **peers;
	size_t n_peers;
	struct conf_acl **acls;
	size_t n_acls;
	struct conf_policy **policies;
	size_t n_policies;
	struct conf_rule *rules; /* policy by policy, each in the order in which they are tried */
	size_t n_rules;
};

/* ---- messages ------------------------------------------------------------------------------ */

struct conf_message {
	bool error; /* else a warning */
	struct conf_loc at;
	char text[384];
};

struct conf_diag {
	char file[256];
	unsigned errors, warnings; /* all of them, kept or not */
	unsigned n;
	struct conf_message v[CONF_DIAG_MAX]; /* in the order of the file */
};

/* "adit.conf:14:23: error: unknown key ..." */
const char *conf_diag_line(const struct conf_diag *d, unsigned i, char *buf, size_t size);
/* "3 problems (2 errors)", or "no problem" */
const char *conf_diag_summary(const struct conf_diag *d, char *buf, size_t size);
/* Every kept message, and the summary where there was one. */
void conf_diag_print(const struct conf_diag *d, FILE *f);

/* ---- verbs --------------------------------------------------------------------------------- */

/* 0, or -EINVAL when diag holds an error, or -errno of opening and reading (diag says so too).  On failure
 * *ret stays untouched.  Does not look at key files: a bad one costs its peer, not the configuration. */
int conf_load(const char *path, struct conf **ret, struct conf_diag *diag);
/* The same, and each key is read as conf_read_secrets would, judged and forgotten: what it says there is an
 * error here. */
int conf_check(const char *path, struct conf **ret, struct conf_diag *diag);
/* conf_load from memory; path is what messages call it and where relative names start. */
int conf_parse(const char *text, size_t len, const char *path, struct conf **ret, struct conf_diag *diag);
void conf_free(struct conf *c); /* wipes; takes NULL */

/* Every peer gets its psk, or a sentence in psk_wrong; diag gets warnings. */
void conf_read_secrets(struct conf *c, struct conf_diag *diag);
void conf_wipe_secrets(struct conf *c);

const struct conf_peer *conf_find_peer(const struct conf *c, const char *name);
const struct conf_rule *conf_find_rule(const struct conf *c, const char *name);

/* "aes256gcm16", "sha256", "x25519": the configuration's own word, or NULL. */
const char *conf_alg_name(enum conf_transform type, uint16_t id, uint16_t key_bits);
/* "fqdn:branch", "address:10.1.1.1", "any" for none; safe to print. */
const char *conf_id_str(const struct conf_id *id, char *buf, size_t size);

#endif
