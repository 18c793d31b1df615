/* SPDX-License-Identifier: BSD-2-Clause */
/* The IKE protocol engine: a library without sockets, clock, maps or log.
 *
 * Everything it needs from outside is a row of function pointers (struct ike_env); everything it learns
 * comes in through the verbs below.  One thread, no callback may call back into the engine except the
 * read-only ones.  Two engines whose send() feeds the other's ike_receive() are a complete pair of gateways.
 */
#ifndef ADIT_IKE_H
#define ADIT_IKE_H

#include "addr.h"
#include "ike_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IKE_NAME_MAX	   64
#define IKE_MAX_TRANSFORMS 24
#define IKE_MAX_PROPOSALS  8
#define IKE_MAX_TS	   8
#define IKE_MAX_CHILDREN   64 /* of one configured peer */
#define IKE_MAX_PSK	   256
#define IKE_MAX_ID	   255
#define IKE_KEY_MAX	   64
#define IKE_DETAIL_MAX	   512
#define IKE_MESSAGE_MAX	   16384 /* larger ones are dropped unread */

/* ---- what is configured -------------------------------------------------------------------- */

/* Transform types and numbers are those of the IANA "IKEv2 Parameters" registry: type 1 ENCR, 2 PRF, 3 INTEG,
 * 4 D-H, 5 ESN. */
struct ike_transform {
	uint8_t type;
	uint16_t id;
	uint16_t key_bits; /* 0: the transform has no key length attribute */
};

/* One proposal; per type the transforms stand in order of preference. */
struct ike_proposal {
	uint8_t n;
	struct ike_transform t[IKE_MAX_TRANSFORMS];
};

/* RFC 7296 3.5: 1 ipv4, 2 fqdn, 3 rfc822 (user-fqdn), 5 ipv6, 11 key-id. */
struct ike_id {
	uint8_t type; /* 0: any identity (remote only) */
	uint8_t len;
	uint8_t data[IKE_MAX_ID];
};

struct ike_ts {
	struct addr_range addrs;
	uint8_t proto;		     /* 0: any */
	uint16_t port_min, port_max; /* 0..65535: any; ICMP: type in the high octet, code in the low */
};

/* The packet that asked for a child. */
struct ike_selector {
	struct addr src, dst;
	uint8_t proto;
	uint16_t sport, dport;
};

struct ike_child_conf {
	uint32_t rule; /* unique over all peers */
	char name[IKE_NAME_MAX];
	uint8_t n_local, n_remote;
	struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS];
	bool start_auto;    /* keep it up; otherwise ike_initiate starts it */
	uint16_t pfs_group; /* 0: none */
	uint8_t n_esn;	    /* none given: no ESN */
	uint8_t esn[2];	    /* 1 wanted, 0 not, in order of preference */
	uint8_t n_esp;
	struct ike_proposal esp[IKE_MAX_PROPOSALS]; /* types 1 and 3 only; D-H and ESN come from the above */
	uint32_t lifetime_s;			    /* 0: no limit */
	uint32_t replay_window;			    /* handed through to the datapath */
};

struct ike_peer_conf {
	char name[IKE_NAME_MAX];
	struct addr local_addr;	 /* unspecified: any; env.route says which one to call from */
	struct addr remote_addr; /* unspecified: any, never initiates */
	uint16_t remote_port;	 /* 0: 500 */
	struct ike_id local_id;	 /* type 0: the local address */
	struct ike_id remote_id; /* type 0: any */
	uint8_t psk[IKE_MAX_PSK];
	uint16_t psk_len;
	uint8_t n_ike;
	struct ike_proposal ike[IKE_MAX_PROPOSALS]; /* types 1 to 4 */
	uint32_t lifetime_s;			    /* of the IKE SA; 0: no limit */
	bool nat_traversal;			    /* off: no NAT detection, always port 500 */
	bool force_encap;			    /* claim a NAT so that both ends use UDP */
	struct {
		uint32_t idle_s; /* 0: no liveness checks */
		uint32_t interval_s;
		uint32_t retries;
	} dpd;
	uint16_t n_children;
	const struct ike_child_conf *children; /* copied by ike_peer_add */
};

/* What a stranger can make grow. */
struct ike_limits {
	uint32_t half_open;	       /* refuse above; 0: 1000 */
	uint32_t half_open_per_source; /* 0: 16 */
	uint32_t cookie_above;	       /* half-open SAs above which a cookie is asked; 0: 30; 1 asks always */
	uint32_t sas;		       /* 0: 20000 */
	uint32_t half_open_s;	       /* 0: 30 */
	uint32_t retransmit_ms;	       /* first wait; doubles; 0: 1000 */
	uint32_t retransmits;	       /* 0: 5 */
};

/* ---- what the datapath gets ---------------------------------------------------------------- */

struct ike_child_keys {
	uint8_t enc[IKE_KEY_MAX]; /* AEAD: the 4 octet salt stands at the end (RFC 4106 8.1) */
	uint8_t enc_len;
	uint8_t integ[IKE_KEY_MAX];
	uint8_t integ_len; /* 0 with AEAD */
};

struct child_sa {
	uint32_t rule;
	char peer[IKE_NAME_MAX], name[IKE_NAME_MAX];
	uint64_t ike_spi;	       /* our SPI of the IKE SA that made it */
	uint32_t spi_in, spi_out;      /* host order */
	uint32_t replaces_spi_in;      /* rekey: the child this one follows; 0 for a first one */
	struct endpoint local, remote; /* ports matter with udp_encap only */
	bool udp_encap;
	bool behind_nat; /* we are */
	bool esn;
	bool initiator;		     /* of the exchange that made it */
	uint8_t protocol;	     /* 3: ESP */
	uint16_t encr_id, encr_bits; /* IANA numbers; bits without salt */
	uint16_t integ_id;	     /* 0 with AEAD */
	uint32_t replay_window;
	struct ike_child_keys in, out;
	uint8_t n_local, n_remote;
	struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS]; /* as narrowed */
	uint32_t lifetime_s;					   /* hard; the engine rekeys before */
};

enum ike_direction { IKE_IN, IKE_OUT };

/* ---- events: what happened, for live output and the journal -------------------------------- */

enum ike_event_kind {
	IKE_EVENT_SENT,	      /* exchange, message_id, payloads, retransmit */
	IKE_EVENT_RECEIVED,   /* likewise; only after it authenticated, where there are keys */
	IKE_EVENT_UP,	      /* the IKE SA authenticated */
	IKE_EVENT_DOWN,	      /* why */
	IKE_EVENT_CHILD_UP,   /* child */
	IKE_EVENT_CHILD_DOWN, /* child, why */
	IKE_EVENT_FAILED,     /* why, detail, rule, final: also kept as the peer's last failure */
};

struct ike_event {
	enum ike_event_kind kind;
	const char *peer; /* "" while unknown */
	uint64_t spi_ours, spi_theirs;
	const struct endpoint *local, *remote;
	bool we_initiated;
	uint8_t exchange; /* 34 IKE_SA_INIT .. 37 INFORMATIONAL */
	bool response;
	uint32_t message_id;
	unsigned retransmit;  /* 0: first time */
	const char *payloads; /* "SA KE No N(NAT_DETECTION_SOURCE_IP)" */
	const struct child_sa *child;
	enum ike_reason why;
	const char *detail;
	uint32_t rule; /* of a failure: the child it concerns; 0: the whole peer */
	/* The engine has given up: what it was asked for does not come up, unless it is kept up and tried
	 * again later.  A failure without this is news only: anybody may have sent what caused it. */
	bool final;
};

/* ---- what the engine is given -------------------------------------------------------------- */

struct ike_env {
	void *self;
	uint64_t (*now_ms)(void *self); /* monotonic */
	int (*random)(void *self, void *buf, size_t len);
	/* One datagram as it goes out: the engine has already put the non-ESP marker in front where the
	 * local port is 4500, and a keepalive is one 0xFF octet. */
	void (*send)(void *self, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *octets, size_t len);
	/* The address that a datagram to remote would leave from now; ret stays unspecified when there is no
	 * route.  NULL: peers without a local address never call. */
	void (*route)(void *self, const struct addr *remote, struct addr *ret);
	/* A free inbound ESP SPI above 255, 0 when there is none; free_spi gives back one never installed. */
	uint32_t (*alloc_spi)(void *self);
	void (*free_spi)(void *self, uint32_t spi);
	/* IKE_IN always first.  IKE_OUT makes this child the one that carries its rule's traffic: the latest
	 * call of a rule wins, and when that child goes the engine calls IKE_OUT again for one that is left.
	 * A failure of IKE_IN refuses the child; of either one deletes it at the peer. */
	int (*child_install)(void *self, const struct child_sa *child, enum ike_direction dir);
	void (*child_remove)(void *self, const struct child_sa *child, enum ike_reason why);
	/* The peer's address or our NAT mapping changed: child->remote is the new one. */
	void (*child_moved)(void *self, const struct child_sa *child);
	void (*event)(void *self, const struct ike_event *event);
};

/* ---- verbs --------------------------------------------------------------------------------- */

struct ike;

int ike_new(const struct ike_env *env, const struct ike_limits *limits,
	    struct ike **ret);	/* limits may be NULL */
void ike_free(struct ike *ike); /* silent: no deletes are sent, nothing is removed from the datapath */

/* Adding a name that exists replaces it: SAs survive where nothing that concerns them changed, children whose
 * own block changed are deleted at the peer.  -EINVAL: the configuration cannot work, detail says why. */
int ike_peer_add(struct ike *ike, const struct ike_peer_conf *conf, char detail[IKE_DETAIL_MAX]);
/* Instead of it, for one whose key (IKE_WHY_NO_KEY) or configuration (IKE_WHY_BAD_PEER) cannot be used: the peer
 * is known, with its rules, and nothing is negotiated with it.  We do not call it, its calls are refused (and
 * not taken for another peer's), and detail stays its failure until it is added anew.  An SA that it has ends.
 * Of what is wrong with conf only a missing name or too many children matter here: -EINVAL. */
int ike_peer_bar(struct ike *ike, const struct ike_peer_conf *conf, enum ike_reason why, const char *detail);
int ike_peer_remove(struct ike *ike, const char *name); /* deletes are sent; -ENOENT */
void ike_peer_clear(struct ike *ike);

/* One datagram without its non-ESP marker; local.port 4500 says it had one. */
void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *octets, size_t len);

/* Start the child of this rule unless it is up or under way.  packet may be NULL.  -ENOENT: no such rule;
 * -EHOSTUNREACH: the peer's address is not known; -ENOKEY: the peer is barred, ike_last_failure says why. */
int ike_initiate(struct ike *ike, uint32_t rule, const struct ike_selector *packet);
/* Delete the peer's IKE SAs, or only the named child (NULL: all).  What is kept up stays down until
 * ike_initiate (a packet counts) or a request of the peer.  -ENOENT. */
int ike_terminate(struct ike *ike, const char *peer, const char *child);
void ike_shutdown(struct ike *ike); /* deletes for everything, sent once */

void ike_tick(struct ike *ike);
uint64_t ike_next_ms(const struct ike *ike); /* when ike_tick is wanted; UINT64_MAX: never */

/* From the datapath. */
void ike_peer_moved(struct ike *ike, uint32_t spi_in,
		    const struct endpoint *remote);	   /* authenticated ESP came from */
void ike_child_expiring(struct ike *ike, uint32_t spi_in); /* soft limit of octets or packets reached */
void ike_child_used(struct ike *ike, uint32_t spi_in);	   /* first packet on a new inbound SA; optional */
void ike_datapath_lost(struct ike *ike);		   /* no child is installed any more */

/* ---- looking at it ------------------------------------------------------------------------- */

enum ike_state { IKE_CONNECTING, IKE_HALF_OPEN, IKE_UP, IKE_REKEYED, IKE_CLOSING };

struct ike_sa_view {
	const char *peer;
	enum ike_state state;
	const char *state_name;
	bool initiator;
	uint64_t spi_ours, spi_theirs;
	struct endpoint local, remote;
	bool nat_local, nat_remote;				 /* who is behind one */
	uint16_t encr_id, encr_bits, integ_id, prf_id, dh_group; /* 0 while not negotiated */
	const struct ike_id *remote_id;				 /* NULL until authenticated */
	uint64_t created_ms, up_ms, heard_ms, rekey_ms;		 /* env clock; 0: never */
	unsigned retransmits;					 /* of the request now outstanding */
	unsigned children;
};

struct ike_child_view {
	const struct child_sa *sa;
	const char *state_name; /* "up", "rekeying", "rekeyed", "deleting" */
	bool in_installed, out_installed;
	uint64_t created_ms, rekey_ms, expire_ms;
};

void ike_each_sa(const struct ike *ike, void (*each)(void *self, const struct ike_sa_view *sa), void *self);
void ike_each_child(const struct ike *ike, void (*each)(void *self, const struct ike_child_view *child),
		    void *self);

/* Kept until the next success of the same peer ends it being "current"; the text is printable. */
struct ike_failure {
	enum ike_reason why;
	uint8_t exchange; /* 0: none */
	bool current;	  /* nothing succeeded since */
	uint64_t when_ms;
	uint32_t count; /* failures since the last success */
	char detail[IKE_DETAIL_MAX];
};
/* NULL: no such peer or it never failed.  Peer "" holds what no peer could be found for. */
const struct ike_failure *ike_last_failure(const struct ike *ike, const char *peer);

/* How often each reason was met; and a way to count what the engine does not see. */
void ike_count(struct ike *ike, enum ike_reason why);
const uint64_t *ike_counters(const struct ike *ike); /* IKE_REASON_COUNT of them */

struct ike_totals {
	uint32_t sas, half_open, children;
	bool asking_cookies;
};
void ike_totals(const struct ike *ike, struct ike_totals *ret);

const char *ike_exchange_name(uint8_t exchange);
const char *ike_transform_name(uint8_t type, uint16_t id); /* "aes-gcm-16", "ecp-256"; "?" when unknown */

#endif
