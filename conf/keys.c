// SPDX-License-Identifier: BSD-2-Clause
#include "keys.h"

#include <inttypes.h>
#include <string.h>

#include "log.h"

/* clang-format off */
const struct block blocks[BLOCK_COUNT] = {
	[BLOCK_ADIT] = { "adit", true, false, 0, "Settings of the daemon itself; may be left out." },
	[BLOCK_INTERFACE] = { "interface", true, true, IFNAMSIZ - 1,
		"A network interface that Adit works on: outside ones carry a policy, inside ones feed the fast path." },
	[BLOCK_IKE_PROPOSAL] = { "ike-proposal", true, true, CONF_NAME_SIZE - 1,
		"Algorithms that may protect IKE itself." },
	[BLOCK_ESP_PROPOSAL] = { "esp-proposal", true, true, CONF_NAME_SIZE - 1,
		"Algorithms that may protect the traffic." },
	[BLOCK_PEER] = { "peer", true, true, CONF_NAME_SIZE - 1, "The gateway at the other end." },
	[BLOCK_DPD] = { "dpd", false, false, 0, "How a dead peer is found out; stands inside of a peer." },
	[BLOCK_ACL] = { "acl", true, true, CONF_NAME_SIZE - 1,
		"Which traffic is protected: numbered rules, the lowest matching number decides." },
	/* The rule name "policy/entry/rule" has to fit into CONF_RULE_SIZE. */
	[BLOCK_POLICY] = { "policy", true, true, CONF_RULE_SIZE - 1 - 12,
		"Numbered entries that bring traffic, peer and algorithms together; an interface names it." },
	[BLOCK_ENTRY] = { "isakmp", false, false, 0,
		"One entry of a policy, written as its number and `isakmp`; the lowest number is tried first." },
};

static const char too_weak[] = "too weak to offer";
static const char not_yet[] = "not there yet";

static const struct word log_words[] = {
	{ .name = "error", .value = LOG_LEVEL_ERROR }, { .name = "warn", .value = LOG_LEVEL_WARN },
	{ .name = "info", .value = LOG_LEVEL_INFO }, { .name = "debug", .value = LOG_LEVEL_DEBUG }, { 0 } };
static const struct word role_words[] = {
	{ .name = "outside", .value = CONF_OUTSIDE }, { .name = "inside", .value = CONF_INSIDE }, { 0 } };
static const struct word auto_zero_words[] = { { .name = "auto", .value = 0 }, { 0 } };
static const struct word df_words[] = {
	{ .name = "copy", .value = CONF_DF_COPY }, { .name = "set", .value = CONF_DF_SET },
	{ .name = "clear", .value = CONF_DF_CLEAR }, { 0 } };
static const struct word mss_words[] = {
	{ .name = "auto", .value = CONF_MSS_AUTO }, { .name = "off", .value = CONF_MSS_OFF }, { 0 } };
static const struct word xdp_words[] = {
	{ .name = "auto", .value = CONF_XDP_AUTO }, { .name = "native", .value = CONF_XDP_NATIVE },
	{ .name = "generic", .value = CONF_XDP_GENERIC },
	{ .name = "offload", .refused = "no device runs these programs itself" }, { 0 } };
static const struct word zero_copy_words[] = {
	{ .name = "auto", .value = CONF_AUTO }, { .name = "off", .value = CONF_OFF }, { 0 } };
static const struct word switch_words[] = {
	{ .name = "auto", .value = CONF_AUTO }, { .name = "on", .value = CONF_ON },
	{ .name = "off", .value = CONF_OFF }, { 0 } };
static const struct word off_zero_words[] = { { .name = "off", .value = 0 }, { 0 } };
static const struct word version_words[] = {
	{ .name = "2", .value = 2 }, { .name = "1", .refused = "IKEv1 is not there yet" }, { 0 } };
static const struct word protocol_words[] = {
	{ .name = "esp", .value = 50 }, { .name = "ah", .refused = not_yet },
	{ .name = "ah-esp", .refused = not_yet }, { 0 } };
static const struct word mode_words[] = {
	{ .name = "tunnel", .value = 0 }, { .name = "transport", .refused = not_yet }, { 0 } };
static const struct word esn_words[] = {
	{ .name = "yes", .value = CONF_ESN_YES }, { .name = "no", .value = CONF_ESN_NO },
	{ .name = "both", .value = CONF_ESN_BOTH }, { 0 } };
static const struct word nat_words[] = {
	{ .name = "yes", .value = CONF_NAT_YES }, { .name = "no", .value = CONF_NAT_NO },
	{ .name = "force", .value = CONF_NAT_FORCE }, { 0 } };
static const struct word clear_words[] = {
	{ .name = "bypass", .value = CONF_BYPASS }, { .name = "drop", .value = CONF_DROP }, { 0 } };
static const struct word trigger_words[] = {
	{ .name = "traffic", .value = CONF_ON_TRAFFIC }, { .name = "auto", .value = CONF_ON_START },
	{ .name = "traffic-based", .value = CONF_ON_TRAFFIC, .alias = true }, { 0 } };

/* IANA "Internet Key Exchange Version 2 (IKEv2) Parameters", transform types 1 to 4. */
static const struct word encryption_words[] = {
	{ .name = "aes256gcm16", .value = 20, .key_bits = 256, .aead = true },
	{ .name = "aes192gcm16", .value = 20, .key_bits = 192, .aead = true },
	{ .name = "aes128gcm16", .value = 20, .key_bits = 128, .aead = true },
	{ .name = "aes256", .value = 12, .key_bits = 256 },
	{ .name = "aes192", .value = 12, .key_bits = 192 },
	{ .name = "aes128", .value = 12, .key_bits = 128 },
	{ .name = "aes256cbc", .value = 12, .key_bits = 256, .alias = true },
	{ .name = "aes192cbc", .value = 12, .key_bits = 192, .alias = true },
	{ .name = "aes128cbc", .value = 12, .key_bits = 128, .alias = true },
	{ .name = "aes256gcm", .value = 20, .key_bits = 256, .aead = true, .alias = true },
	{ .name = "aes128gcm", .value = 20, .key_bits = 128, .aead = true, .alias = true },
	{ .name = "chacha20poly1305", .refused = not_yet }, { .name = "sm4", .refused = not_yet },
	{ .name = "3des", .refused = too_weak }, { .name = "des", .refused = too_weak },
	{ .name = "null", .refused = "hides nothing" }, { 0 } };
static const struct word integrity_words[] = {
	{ .name = "sha256", .value = 12 }, { .name = "sha384", .value = 13 }, { .name = "sha512", .value = 14 },
	{ .name = "sha1", .refused = too_weak }, { .name = "md5", .refused = too_weak }, { 0 } };
static const struct word prf_words[] = {
	{ .name = "sha256", .value = 5 }, { .name = "sha384", .value = 6 }, { .name = "sha512", .value = 7 },
	{ .name = "sha1", .refused = too_weak }, { .name = "md5", .refused = too_weak }, { 0 } };
static const struct word dh_words[] = {
	{ .name = "x25519", .value = 31 }, { .name = "ecp256", .value = 19 }, { .name = "ecp384", .value = 20 },
	{ .name = "modp2048", .value = 14 },
	{ .name = "curve25519", .value = 31, .alias = true }, { .name = "group14", .value = 14, .alias = true },
	{ .name = "group19", .value = 19, .alias = true }, { .name = "group20", .value = 20, .alias = true },
	{ .name = "group31", .value = 31, .alias = true },
	{ .name = "modp1024", .refused = too_weak }, { .name = "modp768", .refused = too_weak },
	{ .name = "modp1536", .refused = too_weak }, { .name = "modp3072", .refused = not_yet },
	{ .name = "modp4096", .refused = not_yet }, { .name = "ecp521", .refused = not_yet }, { 0 } };

#define VALUE(type, member, place) \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member), \
	.at = offsetof(struct type, place)
#define DAY 86400

const struct key keys[] = {
	{ BLOCK_ADIT, "log", KEY_CHOICE, VALUE(conf_adit, log, at.log), .words = log_words, .def = "info",
	  .help = "How much is written to the journal." },

	{ BLOCK_INTERFACE, "role", KEY_CHOICE, VALUE(conf_interface, role, at.role), .words = role_words,
	  .def = "outside", .help = "Outside faces the peers and has a policy; inside faces the protected networks." },
	{ BLOCK_INTERFACE, "policy", KEY_REF, KEY_OUTSIDE, VALUE(conf_interface, policy, at.policy),
	  .target = BLOCK_POLICY, .def = "(none)",
	  .help = "The policy for what leaves and enters here; every outside interface needs one." },
	{ BLOCK_INTERFACE, "mtu", KEY_NUMBER, KEY_OUTSIDE, VALUE(conf_interface, mtu, at.mtu),
	  .words = auto_zero_words, .min = 576, .max = 9000, .def = "auto",
	  .help = "Largest outer packet that the path carries; auto takes the interface's own." },
	{ BLOCK_INTERFACE, "df-bit", KEY_CHOICE, KEY_OUTSIDE, VALUE(conf_interface, df_bit, at.df_bit),
	  .words = df_words, .def = "copy", .help = "The don't-fragment bit of outer packets; copy takes the inner packet's." },
	{ BLOCK_INTERFACE, "tcp-mss", KEY_NUMBER, KEY_OUTSIDE, VALUE(conf_interface, tcp_mss, at.tcp_mss),
	  .words = mss_words, .min = 200, .max = 8960, .def = "auto",
	  .help = "Largest TCP segment that protected connections may agree on; auto computes what fits, off leaves it alone." },
	{ BLOCK_INTERFACE, "xdp", KEY_CHOICE, VALUE(conf_interface, xdp, at.xdp), .words = xdp_words,
	  .def = "auto", .help = "How the programs attach; auto tries native and falls back to generic." },
	{ BLOCK_INTERFACE, "zero-copy", KEY_CHOICE, VALUE(conf_interface, zero_copy, at.zero_copy),
	  .words = zero_copy_words, .def = "auto", .help = "Zero-copy sockets where the driver has them." },
	{ BLOCK_INTERFACE, "fast-path", KEY_CHOICE, KEY_INSIDE, VALUE(conf_interface, fast_path, at.fast_path),
	  .words = switch_words, .def = "auto",
	  .help = "Whether packets may pass by the kernel; auto does so only where the result is the same." },

	{ BLOCK_IKE_PROPOSAL, "encryption", KEY_ALGS, KEY_REQUIRED,
	  VALUE(conf_ike_proposal, encryption, at.encryption), .words = encryption_words, .max = CONF_LIST_MAX,
	  .help = "Ciphers, the most wanted first; GCM and CBC need a proposal each." },
	{ BLOCK_IKE_PROPOSAL, "integrity", KEY_ALGS, VALUE(conf_ike_proposal, integrity, at.integrity),
	  .words = integrity_words, .max = CONF_LIST_MAX, .def = "(none)",
	  .help = "HMAC that guards CBC ciphers; GCM guards itself and takes none." },
	{ BLOCK_IKE_PROPOSAL, "prf", KEY_ALGS, VALUE(conf_ike_proposal, prf, at.prf), .words = prf_words,
	  .max = CONF_LIST_MAX, .def = "sha256", .help = "HMAC that keys are derived with." },
	{ BLOCK_IKE_PROPOSAL, "dh", KEY_ALGS, KEY_REQUIRED, VALUE(conf_ike_proposal, dh, at.dh),
	  .words = dh_words, .max = CONF_LIST_MAX, .help = "Diffie-Hellman groups; the first one is tried first." },
	{ BLOCK_IKE_PROPOSAL, "lifetime", KEY_TIME, VALUE(conf_ike_proposal, lifetime_s, at.lifetime),
	  .min = 10, .max = 30 * DAY, .def = "24h", .help = "Age at which the IKE SA has been replaced." },

	{ BLOCK_ESP_PROPOSAL, "protocol", KEY_CHOICE, VALUE(conf_esp_proposal, protocol, at.protocol),
	  .words = protocol_words, .def = "esp", .help = "The protocol that protects." },
	{ BLOCK_ESP_PROPOSAL, "mode", KEY_CHOICE, VALUE(conf_esp_proposal, mode, at.mode), .words = mode_words,
	  .def = "tunnel", .help = "Tunnel wraps whole packets." },
	{ BLOCK_ESP_PROPOSAL, "encryption", KEY_ALGS, KEY_REQUIRED,
	  VALUE(conf_esp_proposal, encryption, at.encryption), .words = encryption_words, .max = CONF_LIST_MAX,
	  .help = "Ciphers, the most wanted first; GCM and CBC need a proposal each." },
	{ BLOCK_ESP_PROPOSAL, "integrity", KEY_ALGS, VALUE(conf_esp_proposal, integrity, at.integrity),
	  .words = integrity_words, .max = CONF_LIST_MAX, .def = "(none)",
	  .help = "HMAC that guards CBC ciphers, cut to half its length (RFC 4868); GCM takes none." },
	{ BLOCK_ESP_PROPOSAL, "esn", KEY_CHOICE, VALUE(conf_esp_proposal, esn, at.esn), .words = esn_words,
	  .def = "both", .help = "64-bit sequence numbers; both prefers them and accepts a peer without." },
	{ BLOCK_ESP_PROPOSAL, "lifetime", KEY_TIME, VALUE(conf_esp_proposal, lifetime_s, at.lifetime),
	  .min = 10, .max = 30 * DAY, .def = "1h", .help = "Age at which the SA has been replaced." },
	{ BLOCK_ESP_PROPOSAL, "lifetime-bytes", KEY_BYTES,
	  VALUE(conf_esp_proposal, lifetime_bytes, at.lifetime_bytes), .words = off_zero_words, .min = 1 << 20,
	  .max = 1ULL << 50, .def = "off", .help = "Traffic after which the SA is replaced; not acted on yet." },
	{ BLOCK_ESP_PROPOSAL, "replay-window", KEY_NUMBER,
	  VALUE(conf_esp_proposal, replay_window, at.replay_window), .words = off_zero_words, .min = 32,
	  .max = 4096, .def = "1024", .help = "How far behind the newest packet another may arrive; off accepts repeated ones." },

	{ BLOCK_PEER, "version", KEY_CHOICE, VALUE(conf_peer, version, at.version), .words = version_words,
	  .def = "2", .help = "Version of IKE." },
	{ BLOCK_PEER, "local", KEY_ADDRESS, VALUE(conf_peer, local, at.local),
	  .extra = offsetof(struct conf_peer, local_any), .def = "any",
	  .help = "Our address towards this peer; any takes the one that routing chooses." },
	{ BLOCK_PEER, "remote", KEY_ADDRESS, KEY_REQUIRED, VALUE(conf_peer, remote, at.remote),
	  .extra = offsetof(struct conf_peer, remote_any),
	  .help = "The peer's address as seen from here; any waits for it to call." },
	{ BLOCK_PEER, "local-id", KEY_ID, VALUE(conf_peer, local_id, at.local_id), .def = "(our address)",
	  .help = "Who we say we are." },
	{ BLOCK_PEER, "remote-id", KEY_ID, VALUE(conf_peer, remote_id, at.remote_id), .def = "(its address)",
	  .help = "Who the peer must prove to be; any accepts whoever has the key. Behind a NAT give the address it has there." },
	{ BLOCK_PEER, "psk", KEY_PSK, KEY_REQUIRED, VALUE(conf_peer, psk_path, at.psk),
	  .help = "File with the shared key: raw text, or `hex:` or `base64:` and the encoded key; mode 0600." },
	{ BLOCK_PEER, "ike", KEY_REFS, KEY_REQUIRED, VALUE(conf_peer, ike, at.ike),
	  .extra = offsetof(struct conf_peer, n_ike), .target = BLOCK_IKE_PROPOSAL, .max = CONF_LIST_MAX,
	  .help = "Proposals for IKE, the most wanted first." },
	{ BLOCK_PEER, "nat-traversal", KEY_CHOICE, VALUE(conf_peer, nat_traversal, at.nat_traversal),
	  .words = nat_words, .def = "yes",
	  .help = "UDP encapsulation where a NAT is found; force uses it always, no never." },
	{ BLOCK_PEER, "dpd", KEY_BLOCK, .at = offsetof(struct conf_peer, at.dpd), .target = BLOCK_DPD,
	  .def = "(see dpd)", .help = "Liveness checks." },

	{ BLOCK_DPD, "idle", KEY_TIME, VALUE(conf_peer, dpd.idle_s, dpd.at.idle), .words = off_zero_words,
	  .min = 1, .max = DAY, .def = "30s", .help = "Silence after which the peer is asked; off never asks." },
	{ BLOCK_DPD, "interval", KEY_TIME, VALUE(conf_peer, dpd.interval_s, dpd.at.interval), .min = 1,
	  .max = 3600, .def = "10s", .help = "Time between two questions without an answer." },
	{ BLOCK_DPD, "retries", KEY_NUMBER, VALUE(conf_peer, dpd.retries, dpd.at.retries), .min = 1, .max = 30,
	  .def = "4", .help = "Unanswered questions after which the peer is dead." },

	{ BLOCK_POLICY, "deny-action", KEY_CHOICE, VALUE(conf_policy, deny_action, at.deny_action),
	  .words = clear_words, .def = "bypass", .help = "What becomes of traffic that a deny rule matches." },
	{ BLOCK_POLICY, "unmatched", KEY_CHOICE, VALUE(conf_policy, unmatched, at.unmatched),
	  .words = clear_words, .def = "bypass", .help = "What becomes of traffic that no rule matches." },

	{ BLOCK_ENTRY, "peer", KEY_REF, KEY_REQUIRED, VALUE(conf_entry, peer, at.peer), .target = BLOCK_PEER,
	  .help = "Whom to reach." },
	{ BLOCK_ENTRY, "acl", KEY_REF, KEY_REQUIRED, VALUE(conf_entry, acl, at.acl), .target = BLOCK_ACL,
	  .help = "Which traffic; each permit rule becomes an SA of its own." },
	{ BLOCK_ENTRY, "esp", KEY_REFS, KEY_REQUIRED, VALUE(conf_entry, esp, at.esp),
	  .extra = offsetof(struct conf_entry, n_esp), .target = BLOCK_ESP_PROPOSAL, .max = CONF_LIST_MAX,
	  .help = "Proposals for the traffic, the most wanted first." },
	{ BLOCK_ENTRY, "pfs", KEY_ALGS, VALUE(conf_entry, pfs, at.pfs), .words = dh_words, .max = 1,
	  .def = "(none)", .help = "Fresh Diffie-Hellman for every SA, in this group; both ends must agree." },
	{ BLOCK_ENTRY, "trigger", KEY_CHOICE, VALUE(conf_entry, trigger, at.trigger), .words = trigger_words,
	  .def = "traffic", .help = "Connect when traffic asks for it, or at once and again after every loss." },
};
/* clang-format on */

const size_t keys_n = sizeof(keys) / sizeof(keys[0]);

const struct key *key_find(enum block_id block, const char *name)
{
	size_t i;

	for (i = 0; i < keys_n; i++)
		if (keys[i].block == block && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

const struct word *word_find(const struct word *words, const char *name)
{
	for (; words && words->name; words++)
		if (strcmp(words->name, name) == 0)
			return words;
	return NULL;
}

const char *word_name(const struct word *words, int value, uint16_t key_bits)
{
	for (; words->name; words++)
		if (!words->refused && words->value == value && words->key_bits == key_bits)
			return words->name;
	return NULL;
}

const char *conf_alg_name(enum conf_transform type, uint16_t id, uint16_t key_bits)
{
	switch (type) {
	case CONF_ENCRYPTION:
		return word_name(encryption_words, id, key_bits);
	case CONF_PRF:
		return word_name(prf_words, id, 0);
	case CONF_INTEGRITY:
		return word_name(integrity_words, id, 0);
	case CONF_DH:
		return word_name(dh_words, id, 0);
	}
	return NULL;
}

static const char *time_text(uint64_t s, char *buf, size_t size)
{
	if (s % DAY == 0)
		snprintf(buf, size, "%" PRIu64 "d", s / DAY);
	else if (s % 3600 == 0)
		snprintf(buf, size, "%" PRIu64 "h", s / 3600);
	else
		snprintf(buf, size, "%" PRIu64 "s", s);
	return buf;
}

/* "10s to 30d" */
static const char *range_text(const struct key *key, char *buf, size_t size)
{
	char a[24], b[24];

	if (key->kind == KEY_TIME)
		snprintf(buf, size, "%s to %s", time_text(key->min, a, sizeof(a)),
			 time_text(key->max, b, sizeof(b)));
	else if (key->kind == KEY_BYTES)
		snprintf(buf, size, "%" PRIu64 "MB to %" PRIu64 "TB", key->min >> 20, key->max >> 40);
	else
		snprintf(buf, size, "%" PRIu64 " to %" PRIu64, key->min, key->max);
	return buf;
}

const char *key_allowed(const struct key *key, char *buf, size_t size)
{
	const struct word *w;
	const char *comma = "";
	size_t n = 0;
	char range[64];

	buf[0] = '\0';
	if (key->kind == KEY_NUMBER || key->kind == KEY_TIME || key->kind == KEY_BYTES) {
		n = snprintf(buf, size, "%s", range_text(key, range, sizeof(range)));
		comma = ", ";
	}
	for (w = key->words; w && w->name && n < size; w++) {
		if (w->refused || w->alias)
			continue;
		n += snprintf(buf + n, size - n, "%s%s", comma, w->name);
		comma = ", ";
	}
	return buf;
}

static const char *kind_text(const struct key *key, char *buf, size_t size)
{
	switch (key->kind) {
	case KEY_CHOICE:
	case KEY_NUMBER:
	case KEY_TIME:
	case KEY_BYTES:
		return key_allowed(key, buf, size);
	case KEY_ALGS:
		key_allowed(key, buf, size);
		if (key->max > 1) {
			size_t n = strlen(buf);

			snprintf(buf + n, size - n, "; up to %u of them", (unsigned)key->max);
		}
		return buf;
	case KEY_REF:
		snprintf(buf, size, "name of a `%s`", blocks[key->target].name);
		return buf;
	case KEY_REFS:
		snprintf(buf, size, "names of `%s`", blocks[key->target].name);
		return buf;
	case KEY_ADDRESS:
		return "an address, any";
	case KEY_ID:
		return strcmp(key->name, "remote-id") == 0
			       ? "fqdn:NAME, email:USER@NAME, address:A, keyid:HEX, any"
			       : "fqdn:NAME, email:USER@NAME, address:A, keyid:HEX";
	case KEY_PSK:
		return "file:PATH";
	case KEY_BLOCK:
		return "a block";
	}
	return "";
}

void keys_markdown(FILE *f)
{
	enum block_id b;
	char buf[256];
	size_t i;

	for (b = 0; b < BLOCK_COUNT; b++) {
		bool any = false;

		fprintf(f, "### %s\n\n%s\n\n", blocks[b].name, blocks[b].help);
		for (i = 0; i < keys_n; i++) {
			const struct key *k = &keys[i];
			char def[64];

			if (k->block != b)
				continue;
			if (!any)
				fprintf(f, "| key | values | default | |\n|---|---|---|---|\n");
			any = true;
			if (k->flags & KEY_REQUIRED)
				snprintf(def, sizeof(def), "required");
			else if (k->def[0] == '(')
				snprintf(def, sizeof(def), "%.*s", (int)strlen(k->def) - 2, k->def + 1);
			else
				snprintf(def, sizeof(def), "`%s`", k->def);
			fprintf(f, "| `%s` | %s | %s | %s |\n", k->name, kind_text(k, buf, sizeof(buf)), def,
				k->help);
		}
		if (any)
			fputc('\n', f);
	}
}
