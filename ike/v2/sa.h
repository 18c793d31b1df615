/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine remembers: peers, IKE SAs, their children.  Included by the engine's own files only.
 *
 * Two rules hold everything together.  Handlers (init.c, auth.c, info.c, child.c, rekey.c) get const views
 * and fill a struct outcome or a struct ask; only commit.c, timer.c and the operator's verbs in engine.c
 * change what is here.  And an SA is never freed inside a verb: it is marked GONE and swept at the verb's
 * end.
 */
#ifndef ADIT_IKE_V2_SA_H
#define ADIT_IKE_V2_SA_H

#include "ike.h"
#include "keys.h"
#include "message.h"
#include "proposal.h"
#include "ts.h"

#define NONCE_LEN	   32
#define OUT_MAX		   4096 /* payloads of a message of ours */
#define MARKER		   4	/* octets of the non-ESP marker, kept in front of every stored message */
#define SA_BUCKETS	   4096
#define MAX_SA_CHILDREN	   256
#define MAX_INIT_RETRIES   5 /* COOKIE and INVALID_KE_PAYLOAD together */
#define MAX_BUSY_RETRIES   5 /* TEMPORARY_FAILURE to the same child */
#define COOKIE_MAX	   64
#define LINGER_MS	   30000 /* how long a finished SA still repeats its last reply */
#define KEEPALIVE_MS	   20000
#define OUT_SWITCH_MS	   5000	 /* responder of a rekey: outbound moves at the latest then */
#define REAP_REKEYED_MS	   60000 /* a replaced SA whose delete never came is deleted by us */
#define REKEY_AGAIN_MS	   10000 /* after one that failed */
#define RETRY_FIRST_MS	   2000
#define RETRY_MAX_MS	   300000
#define REDUNDANT_AFTER_MS 3000
#define STRANGERS_PER_S	   10 /* error replies, and lines in the log, that strangers can cause */
#define DELETE_BATCH	   32 /* SPIs of one DELETE of ours */

struct nonce {
	uint16_t len;
	uint8_t b[256];
};

/* A configured child and whether we would like to have it. */
struct slot {
	struct ike_child_conf conf;
	bool wanted, held, have_packet; /* held: ended by the operator, not started again on our own */
	struct ike_selector packet;
	uint64_t not_before_ms;
	unsigned failures;
};

struct peer {
	struct peer *next;
	struct ike_peer_conf conf; /* conf.children is NULL: they are in slots */
	struct slot *slots;
	struct ike_sa *sas; /* its own, through next_of_peer */
	struct ike_failure failure;
	bool failed;		/* failure holds something */
	enum ike_reason barred; /* not NONE: nothing is negotiated, and failure says why for as long */
};

enum child_state { CHILD_UP, CHILD_REKEYED, CHILD_DELETING };

struct child {
	struct child *next;
	struct child_sa sa;
	enum child_state state;
	bool in_installed, out_installed;
	bool by_peer; /* the peer's request made it */
	bool want_rekey, want_delete, delete_sent;
	enum ike_reason why; /* of want_delete */
	struct nonce low;    /* lowest nonce of the exchange that made it */
	uint32_t successor;  /* spi_in of the one that replaced it */
	uint16_t dh;
	uint64_t born_ms, rekey_ms, expire_ms, out_ms, reap_ms;
};

enum sa_state {
	SA_NEW,	      /* no SA yet: a first message of a stranger */
	SA_INIT_SENT, /* we asked IKE_SA_INIT */
	SA_HALF_OPEN, /* we answered IKE_SA_INIT */
	SA_AUTH_SENT, /* we ask IKE_AUTH */
	SA_UP,
	SA_REKEYED, /* replaced; waits for its DELETE */
	SA_CLOSING, /* we ask for its end */
	SA_GONE,    /* only repeats its last reply, then is freed */
};

enum task {
	TASK_NONE,
	TASK_INIT,
	TASK_AUTH,
	TASK_NEW_CHILD,
	TASK_REKEY_CHILD,
	TASK_REKEY_IKE,
	TASK_DELETE_CHILDREN,
	TASK_DELETE_IKE,
	TASK_AUTH_FAILED, /* tell the responder that we do not believe it, then forget */
	TASK_ALIVE,
};

/* What we offered in the request now outstanding. */
struct offered {
	uint32_t rule, spi_in, old_spi_in;
	uint64_t ike_spi;
	uint16_t dh_group; /* DH_NONE: no KE was sent */
	struct dh *dh;
	struct nonce nonce;
	uint8_t n_local, n_remote;
	struct ike_ts local[IKE_MAX_TS + 1], remote[IKE_MAX_TS + 1];
};

struct packet {
	uint8_t *octets; /* MARKER zeros, then the message */
	size_t len;	 /* of the message */
	char text[MSG_TEXT_MAX];
};

struct request {
	enum task task; /* TASK_NONE: nothing is outstanding */
	uint8_t exchange;
	uint32_t id;
	struct packet packet;
	unsigned sent; /* times */
	uint64_t next_ms;
};

struct ike_sa {
	struct ike_sa *next, **prev_next;
	struct ike_sa *next_ours, *next_theirs; /* hash chains */
	struct peer *peer;
	struct ike_sa *next_of_peer, **prev_of_peer;
	enum sa_state state;
	bool initiator; /* original initiator of this SA */
	bool have_keys;
	uint64_t spi_ours, spi_theirs;
	struct endpoint local, remote;
	bool peer_natt, nat_local, nat_remote, encap;
	struct suite suite;
	struct ike_keys keys;
	uint64_t sealed; /* messages: the IV of AES-GCM */
	struct nonce ni, nr;
	struct packet init_ours, init_theirs; /* RealMessages, until authenticated */
	struct ike_id remote_id;	      /* type 0 until authenticated */

	uint32_t next_id, expect_id; /* of our next request, of the peer's next */
	struct request req;
	struct offered offered;
	struct packet reply; /* to request expect_id - 1 */
	uint8_t replied_to[16];

	uint8_t cookie[COOKIE_MAX], cookie_len;
	uint16_t init_group;
	unsigned init_retries;
	bool group_tried;     /* our IKE rekey is repeated with the group that the peer named */
	enum ike_reason hint; /* an unauthenticated error the peer sent */

	bool want_delete, want_rekey, want_alive, auth_failed;
	enum ike_reason why;
	uint64_t delete_ms; /* want_delete acts then */
	uint64_t rival;	    /* IKE rekey collision: our SPI of the one the peer's request made */
	struct nonce rival_low;
	bool counted; /* in ike->half_open */

	struct child *children;
	unsigned n_children;
	uint64_t born_seq, up_seq;
	uint64_t born_ms, up_ms, heard_ms, rekey_ms, expire_ms, give_up_ms, keepalive_ms, busy_ms;
};

/* So many in a second. */
struct budget {
	uint64_t since_ms;
	unsigned spent;
};

struct ike {
	struct ike_env env;
	struct ike_limits limits;
	struct peer *peers, *removed; /* removed: until their last SA is gone */
	struct ike_sa *sas;
	struct ike_sa *by_ours[SA_BUCKETS], *by_theirs[SA_BUCKETS];
	uint32_t n_sas, half_open, n_children;
	uint64_t seq, sweep_ms; /* nothing can be freed before sweep_ms */
	bool wishing;		/* some slot may be wanted */
	uint64_t counters[IKE_REASON_COUNT];
	struct ike_failure nobody;
	bool nobody_failed;
	bool asking_cookies;
	uint8_t secret[2][32];
	uint64_t secret_ms;
	uint8_t secret_version;
	struct budget complaints, echoes; /* error replies; events of replies that anybody can cause */
	bool stopping;
	uint8_t scratch[IKE_MESSAGE_MAX]; /* plaintext of the message being looked at */
};

struct path {
	struct endpoint local, remote;
};

/* ---- decisions ----------------------------------------------------------------------------- */

/* A request about to be sent. */
struct ask {
	enum task task;
	uint8_t exchange;
	struct chain chain;
	struct offered offered;
	uint8_t buf[OUT_MAX];
};

struct new_child {
	bool present;
	bool install_out; /* now; otherwise when the old one goes or the peer uses it */
	bool deleting;	  /* ours lost a collision or cannot be used: goes again at once */
	struct child_sa sa;
	struct nonce low;
	uint16_t dh;
};

struct new_ike {
	bool present;
	bool initiator;
	struct suite suite;
	struct ike_keys keys;
	uint64_t spi_ours, spi_theirs;
	struct nonce ni, nr;
};

struct outcome {
	/* Refused or failed; recorded and told.  The message changes nothing more when ignore is set. */
	enum ike_reason why;
	char detail[IKE_DETAIL_MAX];
	bool ignore;
	enum sa_state next;

	struct chain reply;
	struct chain_mark child_mark; /* where the promise of a child begins in reply */

	struct peer *peer;  /* the one meant, when it is found or changes */
	struct new_ike ike; /* keys of this SA (IKE_SA_INIT) or of its successor */
	bool natt, nat_local, nat_remote;
	struct ike_id remote_id;
	bool initial_contact;
	uint8_t cookie[COOKIE_MAX], cookie_len; /* ask IKE_SA_INIT again with it */
	uint16_t group;				/* or with this group */

	struct new_child child;
	bool drop_ike;
	enum ike_reason drop_why;
	uint32_t drop[MSG_MAX_DELETES * 32]; /* spi_in of children that go */
	unsigned n_drop;
	bool child_failed;    /* the child asked for does not come; why says it */
	bool try_later;	      /* ... but may, soon */
	uint16_t child_group; /* ... with this group */
	bool lost_collision;
	uint8_t buf[OUT_MAX];
};

/* Say no: what is recorded.  detail is made printable. */
void refuse(struct outcome *out, enum ike_reason why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- rows and handlers --------------------------------------------------------------------- */

typedef void handler(const struct ike *ike, const struct ike_sa *sa, const struct msg *m,
		     const struct path *path, struct outcome *out);
handler answer_init, heard_init, heard_init_no;
handler answer_auth, heard_auth, heard_auth_no;
handler answer_info, heard_info;
handler answer_child, heard_child, heard_child_no, answer_busy;
handler answer_rekey, heard_rekey;

struct step {
	enum sa_state on;
	uint8_t exchange;
	bool response;
	uint32_t needs, never;
	handler *run;
	enum sa_state then;
};
bool step_possible(enum sa_state on, uint8_t exchange); /* some request of this exchange has a row */
const struct step *step_find(enum sa_state on, const struct msg *m);

typedef int asker(const struct ike *ike, const struct ike_sa *sa, struct ask *ask);
asker ask_init, ask_auth, ask_delete_ike, ask_delete_children, ask_alive, ask_auth_failed, ask_rekey;
int ask_child(const struct ike *ike, const struct ike_sa *sa, const struct slot *slot,
	      const struct child *old, struct ask *ask);

/* Parts that IKE_AUTH and CREATE_CHILD_SA share. */
int child_offer(const struct ike *ike, const struct slot *slot, const struct child *old, uint16_t dh,
		struct ask *ask);
void child_offer_write(const struct slot *slot, struct ask *ask);
/* Choose rule, suite, selectors and SPI for the peer's request; otherwise *notify is the error to send. */
int child_answer(const struct ike *ike, const struct ike_sa *sa, const struct peer *peer, const struct msg *m,
		 const struct child *old, bool own_exchange, struct outcome *out, struct suite *suite,
		 uint16_t *notify);
int child_keys(const struct ike_sa *sa, const struct suite *suite, const struct key_input *in, bool initiator,
	       struct child_sa *c);
void child_answer_write(struct outcome *out, const struct suite *suite, const struct nonce *nonce,
			const struct dh *dh);
/* The peer's answer to offered. */
int child_accept(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, struct outcome *out);

/* ---- effects ------------------------------------------------------------------------------- */

void commit(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
	    struct outcome *out);
void commit_refusal(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
		    uint16_t notify, const void *data, size_t len);
void pump(struct ike *ike, struct ike_sa *sa); /* the next request, when the window is free */
void pump_peers(struct ike *ike);	       /* wishes that need an SA */
void sa_end(struct ike *ike, struct ike_sa *sa, enum ike_reason why);
int child_add(struct ike *ike, struct ike_sa *sa, const struct new_child *n, bool by_peer,
	      struct child **ret);
void child_end(struct ike *ike, struct ike_sa *sa, struct child *child, enum ike_reason why);
void child_out(struct ike *ike, struct ike_sa *sa, struct child *child);
void children_moved(struct ike *ike, struct ike_sa *sa); /* the SA's endpoints changed */
void children_to(struct ike_sa *from, struct ike_sa *to);
void child_delete(struct child *child, enum ike_reason why); /* at the peer, when the window is free */

/* send.c */
void send_message(const struct ike *ike, const struct ike_sa *sa, const struct packet *p,
		  const struct path *path);
void send_clear(struct ike *ike, const struct msg *m, const struct path *path, const struct chain *c);
void send_reply(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
		const struct chain *c);
int send_request(struct ike *ike, struct ike_sa *sa, struct ask *ask);
bool may_complain(struct ike *ike); /* budget of answers and records for what is not authenticated */
void resend_reply(struct ike *ike, const struct ike_sa *sa, const struct path *path);
void resend_request(struct ike *ike, struct ike_sa *sa);
/* A slot's child did not come up or went away. */
void slot_failed(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint32_t rule,
		 enum ike_reason why);
/* An IKE SA of ours did not come up, and with it no rule that waited for it. */
void attempt_failed(struct ike *ike, const struct ike_sa *sa, uint32_t rule, enum ike_reason why);
void slot_lost(struct ike *ike, struct peer *peer, uint32_t rule);

/* table.c */
struct ike_sa *sa_new(struct ike *ike, uint64_t spi_ours, uint64_t spi_theirs, struct peer *peer);
void sa_free(struct ike *ike, struct ike_sa *sa);
void sa_set_peer(struct ike_sa *sa, struct peer *peer);
void sa_counted(struct ike *ike, struct ike_sa *sa, bool half_open);
void sa_set_theirs(struct ike *ike, struct ike_sa *sa, uint64_t spi_theirs);
struct ike_sa *sa_by_ours(const struct ike *ike, uint64_t spi);
struct ike_sa *sa_half_open(const struct ike *ike, uint64_t spi_i, const struct endpoint *remote);
unsigned half_open_from(const struct ike *ike, const struct addr *a);
int fresh_spi(const struct ike *ike, uint64_t *spi);
struct child *child_by_in(const struct ike_sa *sa, uint32_t spi);
struct child *child_by_out(const struct ike_sa *sa, uint32_t spi);
struct child *child_rival(const struct ike_sa *sa, uint32_t old_spi_in);
struct slot *slot_by_rule(const struct peer *peer, uint32_t rule);
bool peer_up(const struct peer *peer);			/* has an IKE SA that stands */
bool slot_busy(const struct peer *peer, uint32_t rule); /* up or under way */
int packet_store(struct packet *p, const uint8_t *message, size_t len, const char *text);
void packet_free(struct packet *p);
void sweep(struct ike *ike);

/* choose.c: which peer */
struct peer *peer_by_address(const struct ike *ike, const struct path *path, struct span sa,
			     struct suite *suite, bool *any);
struct peer *peer_by_id(const struct ike *ike, const struct ike_sa *sa, const struct msg *m);
struct ike_id local_id_of(const struct peer *peer, const struct addr *local);
bool id_matches(const struct ike_id *conf, uint8_t type, struct span data);
void id_text(uint8_t type, struct span data, char *buf, size_t size);

/* nat.c */
void nat_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *e, uint8_t ret[20]);
void nat_write(const struct ike *ike, struct chain *c, const struct peer *peer, uint64_t spi_i,
	       uint64_t spi_r, const struct path *path);
void nat_detect(const struct msg *m, const struct path *path, struct outcome *out);

/* cookie.c */
void cookie_make(const struct ike *ike, uint8_t version, const struct msg *m, const struct addr *from,
		 uint8_t ret[33]);
bool cookie_good(const struct ike *ike, const struct msg *m, const struct addr *from, struct span cookie);
void cookie_rotate(struct ike *ike);

/* tell.c */
uint64_t now(const struct ike *ike);
void count(struct ike *ike, enum ike_reason why);
void tell_message(const struct ike *ike, const struct ike_sa *sa, bool sent, uint8_t exchange, bool response,
		  uint32_t id, unsigned retransmit, const char *text);
bool within(const struct ike *ike, struct budget *b);
/* An answer for which no SA was made, and one that is repeated: as many as the budget allows. */
void tell_clear(struct ike *ike, const struct path *path, uint8_t exchange, uint32_t id, const char *text);
void tell_sa(const struct ike *ike, const struct ike_sa *sa, enum ike_event_kind kind, enum ike_reason why);
void tell_child(const struct ike *ike, const struct ike_sa *sa, const struct child *c,
		enum ike_event_kind kind, enum ike_reason why);
/* Remember it as the peer's last failure; told at once, or by tell_given_up when that follows anyway. */
void note_failure(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint8_t exchange,
		  enum ike_reason why, const char *detail);
void tell_failure(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint8_t exchange,
		  uint32_t rule, enum ike_reason why, const char *detail);
void tell_given_up(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint32_t rule,
		   enum ike_reason why);

/* timer.c */
uint64_t sa_due(const struct ike *ike, const struct ike_sa *sa);
uint64_t soft_ms(const struct ike *ike, uint64_t from_ms, uint32_t lifetime_s);

/* Somebody or something wants its end: what hangs on it ends too.  A redundant one may still be needed. */
static inline bool sa_leaving(const struct ike_sa *sa)
{
	return sa->want_delete && sa->why != IKE_WHY_REDUNDANT;
}

/* Whether anybody is there at all: asked as often as the peer's dpd says.  A redundant SA is one that the peer
 * may have forgotten long ago: it rebooted, and called again without INITIAL_CONTACT. */
static inline bool asks_for_life(const struct ike_sa *sa)
{
	return sa->req.task == TASK_ALIVE ||
	       (sa->req.task == TASK_DELETE_IKE && sa->why == IKE_WHY_REDUNDANT);
}

/* Between the last messages of an attempt that was refused in clear; four times this and it is given up. */
static inline uint64_t refused_wait_ms(const struct ike *ike)
{
	return ike->limits.retransmit_ms < 1250 ? ike->limits.retransmit_ms : 1250;
}

/* We call, and the peer has not proved itself yet. */
static inline bool sa_connecting(const struct ike_sa *sa)
{
	return sa->initiator && (sa->state == SA_INIT_SENT || sa->state == SA_AUTH_SENT);
}

static inline enum side side_ours(const struct ike_sa *sa)
{
	return sa->initiator ? SIDE_I : SIDE_R;
}

static inline uint64_t spi_i(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_ours : sa->spi_theirs;
}

static inline uint64_t spi_r(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_theirs : sa->spi_ours;
}

static inline struct span nonce_span(const struct nonce *n)
{
	return (struct span){n->b, n->len};
}

/* RFC 7296 2.8.1: octet by octet, a prefix is lower. */
int nonce_cmp(const struct nonce *a, const struct nonce *b);
void nonce_set(struct nonce *n, struct span s);
int nonce_new(const struct ike *ike, struct nonce *n);
struct nonce nonce_low(const struct nonce *a, const struct nonce *b);

#endif
