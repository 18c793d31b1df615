/* SPDX-License-Identifier: BSD-2-Clause */
/* Decisions become true here, in one order: child inbound, state and keys, reply stored and sent, outbound,
 * old child retired, timers, events.  Nothing else assigns sa->state. */
#include "sa.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static void request_done(struct ike_sa *sa)
{
	packet_free(&sa->req.packet);
	sa->req.task = TASK_NONE;
	sa->req.next_ms = UINT64_MAX;
}

static void start_clocks(struct ike *ike, struct ike_sa *sa)
{
	uint32_t life = sa->peer->conf.lifetime_s;

	sa->up_seq = ++ike->seq;
	sa->up_ms = now(ike);
	sa->rekey_ms = soft_ms(ike, sa->up_ms, life);
	sa->expire_ms = life ? sa->up_ms + life * 1000ull : UINT64_MAX;
	sa->give_up_ms = UINT64_MAX;
	sa->keepalive_ms = sa->nat_local ? sa->up_ms + KEEPALIVE_MS : UINT64_MAX;
}

static void take_keys(struct ike_sa *sa, const struct new_ike *n)
{
	sa->suite = n->suite;
	sa->keys = n->keys;
	sa->have_keys = true;
	sa->ni = n->ni;
	sa->nr = n->nr;
}

static void take_nat(struct ike_sa *sa, const struct outcome *out)
{
	sa->peer_natt = out->natt;
	sa->nat_local = out->nat_local || (out->natt && sa->peer->conf.force_encap);
	sa->nat_remote = out->nat_remote;
	sa->encap = sa->nat_local || sa->nat_remote;
}

void sa_end(struct ike *ike, struct ike_sa *sa, enum ike_reason why)
{
	bool was_up = sa->up_ms && sa->state >= SA_UP;
	uint32_t rule = sa->offered.rule;
	bool connecting = sa_connecting(sa), asking = sa->req.task == TASK_NEW_CHILD;

	if (sa->state == SA_GONE)
		return;
	if (sa->req.task != TASK_NONE && sa->req.task != TASK_INIT && sa->offered.spi_in)
		ike->env.free_spi(ike->env.self, sa->offered.spi_in);
	sa->offered.spi_in = 0;
	sa->state = SA_GONE;
	request_done(sa);
	while (sa->children)
		child_end(ike, sa, sa->children, why);
	OPENSSL_cleanse(&sa->keys, sizeof(sa->keys));
	sa->have_keys = false;
	sa->give_up_ms = now(ike) + LINGER_MS;
	ike->sweep_ms = 0;
	/* One that never came up counts as half open until its last reply is forgotten too: failing IKE_AUTH
	 * on purpose must not be a way around the limits. */
	if (why == IKE_WHY_HALF_OPEN_TIMEOUT)
		packet_free(&sa->reply);
	count(ike, why);
	if (was_up)
		tell_sa(ike, sa, IKE_EVENT_DOWN, why);
	if (why == IKE_WHY_OPERATOR || why == IKE_WHY_SHUTDOWN)
		return;
	if (connecting)
		attempt_failed(ike, sa, rule, why);
	else if (asking)
		slot_failed(ike, sa->peer, sa, rule, why);
}

/* ---- a stranger's first message ------------------------------------------------------------ */

static void commit_first(struct ike *ike, const struct msg *m, const struct path *path, struct outcome *out)
{
	struct ike_sa *sa;

	if (out->ignore) {
		if (out->reply.w.len && (!out->why || out->why == IKE_WHY_INVALID_KE || may_complain(ike)))
			send_clear(ike, m, path, &out->reply);
		return;
	}
	sa = sa_new(ike, out->ike.spi_ours, out->ike.spi_theirs, out->peer);
	if (!sa)
		return count(ike, IKE_WHY_NOMEM);
	sa->local = path->local;
	sa->remote = path->remote;
	take_keys(sa, &out->ike);
	take_nat(sa, out);
	sa->state = out->next;
	sa->give_up_ms = now(ike) + ike->limits.half_open_s * 1000ull;
	sa_counted(ike, sa, true);
	tell_message(ike, sa, false, m->h.exchange, false, m->h.id, 0, m->text);
	send_reply(ike, sa, m, path, &out->reply);
	if (packet_store(&sa->init_theirs, m->octets.p, m->octets.len, m->text) ||
	    (sa->reply.octets &&
	     packet_store(&sa->init_ours, sa->reply.octets + MARKER, sa->reply.len, sa->reply.text)))
		sa_end(ike, sa, IKE_WHY_NOMEM);
}

/* ---- the answer to ours -------------------------------------------------------------------- */

/* An error in clear proves nothing, and somebody waits: the peer has a few seconds to say something better.  Our
 * request goes out more often meanwhile, so that one lost message does not decide. */
static void init_refused(struct ike *ike, struct ike_sa *sa, enum ike_reason hint)
{
	uint64_t soon = now(ike) + refused_wait_ms(ike);

	if (sa->hint)
		return;
	sa->hint = hint;
	sa->give_up_ms = now(ike) + 4 * refused_wait_ms(ike);
	if (sa->req.next_ms > soon)
		sa->req.next_ms = soon;
}

/* It does say something better. */
static void init_heard(struct ike_sa *sa)
{
	sa->hint = IKE_WHY_NONE;
	sa->give_up_ms = UINT64_MAX;
}

static void init_again(struct ike *ike, struct ike_sa *sa, const struct outcome *out)
{
	struct dh *dh;

	if (out->group) {
		if (dh_new(out->group, ike->env.random, ike->env.self, &dh))
			return count(ike, IKE_WHY_CRYPTO);
		dh_free(sa->offered.dh);
		sa->offered.dh = dh;
		sa->init_group = out->group;
	}
	if (out->cookie_len) {
		memcpy(sa->cookie, out->cookie, out->cookie_len);
		sa->cookie_len = out->cookie_len;
	}
	sa->init_retries++;
	init_heard(sa);
	request_done(sa);
}

static void init_done(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct outcome *out)
{
	sa_set_theirs(ike, sa, out->ike.spi_theirs);
	take_keys(sa, &out->ike);
	take_nat(sa, out);
	packet_free(&sa->init_ours);
	sa->init_ours = sa->req.packet;
	sa->req.packet = (struct packet){0};
	if (packet_store(&sa->init_theirs, m->octets.p, m->octets.len, m->text))
		return sa_end(ike, sa, IKE_WHY_NOMEM);
	init_heard(sa);
	request_done(sa);
	sa->next_id = 1;
	/* RFC 7296 2.23: with a NAT on the way everything after IKE_SA_INIT runs over 4500. */
	if (sa->encap) {
		sa->local.port = 4500;
		sa->remote.port = 4500;
	}
	sa->state = out->next;
}

/* ---- an SA comes up ------------------------------------------------------------------------ */

static bool same_remote(const struct ike_sa *a, const struct ike_sa *b)
{
	return a->peer == b->peer && a->remote_id.type == b->remote_id.type &&
	       a->remote_id.len == b->remote_id.len &&
	       memcmp(a->remote_id.data, b->remote_id.data, a->remote_id.len) == 0;
}

/* The peer says that it knows of no other SA with us: those that stood before this one began are leftovers.
 */
static void first_contact(struct ike *ike, struct ike_sa *sa)
{
	struct ike_sa *other;

	for (other = sa->peer->sas; other; other = other->next_of_peer)
		if (other != sa && other->state >= SA_UP && other->state < SA_GONE &&
		    same_remote(other, sa) && other->up_seq < sa->born_seq)
			sa_end(ike, other, IKE_WHY_INITIAL_CONTACT);
}

/* Both ends began at once.  Of the two SAs the one with the lowest nonce is given up by the end that began
 * it, as in a rekey; timer.c looks again whether the other one really carries everything. */
static void crossed(struct ike *ike, struct ike_sa *sa)
{
	struct nonce mine = nonce_low(&sa->ni, &sa->nr), theirs;
	struct ike_sa *other, *loser;

	for (other = sa->peer->sas; other; other = other->next_of_peer) {
		if (other == sa || other->state != SA_UP || !same_remote(other, sa) ||
		    other->initiator == sa->initiator)
			continue;
		theirs = nonce_low(&other->ni, &other->nr);
		loser = nonce_cmp(&mine, &theirs) < 0 ? sa : other;
		if (loser->initiator && !loser->want_delete) {
			loser->want_delete = true;
			loser->why = IKE_WHY_REDUNDANT;
			loser->delete_ms = now(ike) + REDUNDANT_AFTER_MS;
		}
	}
}

/* What waited for a silent peer need not wait for one that talks. */
static void wait_no_more(struct ike *ike, struct peer *peer)
{
	unsigned i;

	for (i = 0; i < peer->conf.n_children; i++) {
		struct slot *slot = &peer->slots[i];

		if (!slot->wanted)
			continue;
		slot->not_before_ms = 0;
		slot->failures = 0;
		ike->wishing = true;
	}
}

static void came_up(struct ike *ike, struct ike_sa *sa, const struct outcome *out)
{
	start_clocks(ike, sa);
	sa->remote_id = out->remote_id;
	sa_counted(ike, sa, false);
	packet_free(&sa->init_ours);
	packet_free(&sa->init_theirs);
	/* With its child refused the peer still has something to tell. */
	if (!out->why)
		sa->peer->failure.current = false;
	tell_sa(ike, sa, IKE_EVENT_UP, IKE_WHY_NONE);
	wait_no_more(ike, sa->peer);
	if (out->initial_contact)
		first_contact(ike, sa);
	crossed(ike, sa);
}

/* ---- a new IKE SA in place of an old one --------------------------------------------------- */

static void give_way(struct ike *ike, struct ike_sa *old, struct ike_sa *heir)
{
	children_to(old, heir);
	/* What was to end still is; only a lifetime begins anew. */
	if (old->want_delete && old->why != IKE_WHY_LIFETIME && !heir->want_delete) {
		heir->want_delete = true;
		heir->why = old->why;
		heir->delete_ms = old->delete_ms;
		heir->give_up_ms = old->give_up_ms;
	}
	old->state = SA_REKEYED;
	old->rekey_ms = UINT64_MAX;
	old->give_up_ms = now(ike) + REAP_REKEYED_MS;
	old->rival = 0;
	/* Its children may have waited for a free window. */
	pump(ike, heir);
}

static void close_later(struct ike *ike, struct ike_sa *sa, enum ike_reason why, uint64_t after_ms)
{
	sa->want_delete = true;
	sa->why = why;
	sa->delete_ms = now(ike) + after_ms;
}

static void succeed(struct ike *ike, struct ike_sa *old, const struct outcome *out)
{
	struct ike_sa *sa = sa_new(ike, out->ike.spi_ours, out->ike.spi_theirs, old->peer), *rival;

	if (!sa)
		return count(ike, IKE_WHY_NOMEM);
	sa->initiator = out->ike.initiator;
	sa->local = old->local;
	sa->remote = old->remote;
	sa->peer_natt = old->peer_natt;
	sa->nat_local = old->nat_local;
	sa->nat_remote = old->nat_remote;
	sa->encap = old->encap;
	sa->remote_id = old->remote_id;
	take_keys(sa, &out->ike);
	sa->state = SA_UP;
	start_clocks(ike, sa);
	tell_sa(ike, sa, IKE_EVENT_UP, IKE_WHY_REKEYED);
	if (!sa->initiator && old->req.task == TASK_REKEY_IKE) {
		old->rival = sa->spi_ours;
		old->rival_low = nonce_low(&out->ike.ni, &out->ike.nr);
		return;
	}
	if (!sa->initiator)
		return give_way(ike, old, sa);
	rival = old->rival ? sa_by_ours(ike, old->rival) : NULL;
	if (out->lost_collision) {
		if (rival && rival->state == SA_UP)
			give_way(ike, old, rival);
		return close_later(ike, sa, IKE_WHY_REDUNDANT, 0);
	}
	give_way(ike, old, sa);
	old->state = SA_CLOSING;
	old->why = IKE_WHY_REKEYED;
	/* Its creator deletes it; should that never happen we do. */
	if (rival)
		close_later(ike, rival, IKE_WHY_REDUNDANT, REAP_REKEYED_MS);
}

/* ---- children ------------------------------------------------------------------------------ */

static void slot_ok(struct ike_sa *sa, uint32_t rule)
{
	struct slot *slot = slot_by_rule(sa->peer, rule);

	/* Wanted again since: not on this one. */
	if (!slot || sa_leaving(sa))
		return;
	slot->wanted = slot->have_packet = false;
	slot->failures = 0;
}

static bool held(const struct ike_sa *sa, uint32_t rule)
{
	const struct slot *slot = slot_by_rule(sa->peer, rule);

	return !slot || slot->held;
}

/* After the reply is out: who carries the traffic, and what becomes of the one before. */
static void child_begins(struct ike *ike, struct ike_sa *sa, const struct outcome *out, struct child *c)
{
	struct child *old = child_by_in(sa, c->sa.replaces_spi_in);
	struct child *theirs = c->by_peer ? NULL : child_rival(sa, c->sa.replaces_spi_in);
	uint64_t t = now(ike);

	if (out->child.deleting) {
		child_delete(c, out->lost_collision ? IKE_WHY_REDUNDANT : out->why);
		return;
	}
	if (c->want_delete)
		return;
	if (out->child.install_out || !old)
		child_out(ike, sa, c);
	/* The datapath did not take it: the one before goes on. */
	if (c->want_delete)
		return;
	slot_ok(sa, c->sa.rule);
	/* The operator ended the rule while we were asking. */
	if (!c->by_peer && held(sa, c->sa.rule))
		child_delete(c, IKE_WHY_OPERATOR);
	/* They lost the collision and close it themselves, or else we do, later. */
	if (theirs)
		theirs->reap_ms = t + REAP_REKEYED_MS;
	if (old) {
		if (c->by_peer) {
			c->out_ms = t + OUT_SWITCH_MS;
			old->reap_ms = t + REAP_REKEYED_MS;
		}
		old->successor = c->sa.spi_in;
		old->state = CHILD_REKEYED;
		old->rekey_ms = UINT64_MAX;
		if (!c->by_peer)
			child_delete(old, IKE_WHY_REKEYED);
	}
	sa->peer->failure.current = false;
	tell_child(ike, sa, c, IKE_EVENT_CHILD_UP, IKE_WHY_NONE);
}

static void drop_children(struct ike *ike, struct ike_sa *sa, const struct outcome *out)
{
	unsigned i;

	for (i = 0; i < out->n_drop; i++) {
		struct child *c = child_by_in(sa, out->drop[i]);

		if (c)
			child_end(ike, sa, c,
				  c->want_delete || c->delete_sent ? c->why
				  : c->state == CHILD_REKEYED	   ? IKE_WHY_REKEYED
				  : out->why			   ? out->why
								   : IKE_WHY_PEER_DELETE);
	}
}

/* The peer asks for patience, which is not without end. */
static bool busy_peer(const struct ike_sa *sa, const struct outcome *out)
{
	const struct slot *slot = slot_by_rule(sa->peer, sa->offered.rule);

	return out->try_later && slot && slot->failures < MAX_BUSY_RETRIES;
}

/* The peer refused what we asked for. */
static void child_refused(struct ike *ike, struct ike_sa *sa, enum task task, const struct outcome *out)
{
	struct child *old = child_by_in(sa, sa->offered.old_spi_in);
	struct ike_sa *rival = sa->rival ? sa_by_ours(ike, sa->rival) : NULL;
	uint64_t later = now(ike) + (out->try_later ? RETRY_FIRST_MS : REKEY_AGAIN_MS);
	struct slot *slot = slot_by_rule(sa->peer, sa->offered.rule);

	switch (task) {
	case TASK_REKEY_IKE:
		if (rival && rival->state == SA_UP)
			return give_way(ike, sa, rival);
		sa->rival = 0;
		sa->group_tried = out->child_group && !sa->group_tried;
		sa->rekey_ms = sa->group_tried ? now(ike) : later;
		sa->init_group = out->child_group;
		break;
	case TASK_REKEY_CHILD:
		if (old && old->state == CHILD_UP)
			old->rekey_ms = later;
		break;
	case TASK_AUTH:
	case TASK_NEW_CHILD:
		if (!busy_peer(sa, out)) {
			slot_failed(ike, sa->peer, sa, sa->offered.rule,
				    out->why ? out->why : IKE_WHY_INSTALL);
			break;
		}
		slot->wanted = !slot->held;
		slot->failures++;
		slot->not_before_ms = later;
		ike->wishing = true;
		break;
	case TASK_NONE:
	case TASK_INIT:
	case TASK_DELETE_CHILDREN:
	case TASK_DELETE_IKE:
	case TASK_AUTH_FAILED:
	case TASK_ALIVE:
		break;
	}
}

/* ---- the whole -------------------------------------------------------------------------------------------
 */

/* What was asked for does not come: tell_given_up follows and says it. */
static bool gives_up(const struct ike_sa *sa, const struct outcome *out)
{
	if (sa_connecting(sa) && (out->drop_ike || out->next == SA_CLOSING))
		return true;
	return out->child_failed && (sa->req.task == TASK_AUTH || sa->req.task == TASK_NEW_CHILD) &&
	       !busy_peer(sa, out);
}

static void record(struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct outcome *out)
{
	struct peer *peer = out->peer ? out->peer : sa ? sa->peer : NULL;

	if (!out->why)
		return;
	count(ike, out->why);
	/* Asked to try again with another group: not a failure yet. */
	if (out->why == IKE_WHY_INVALID_KE && (!sa || (out->child_group && !sa->group_tried)))
		return;
	if (!(sa && sa->have_keys) && !may_complain(ike))
		return;
	if (sa && msg_is_response(m) && gives_up(sa, out))
		note_failure(ike, peer, sa, m->h.exchange, out->why, out->detail);
	else
		tell_failure(ike, peer, sa, m->h.exchange, sa && out->child_failed ? sa->offered.rule : 0,
			     out->why, out->detail);
}

static void commit_answer(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
			  struct outcome *out)
{
	struct child *c = NULL;
	bool first = sa->state == SA_HALF_OPEN;

	if (out->peer)
		sa_set_peer(sa, out->peer);
	if (out->child.present && child_add(ike, sa, &out->child, true, &c)) {
		tell_failure(ike, sa->peer, sa, m->h.exchange, out->child.sa.rule, IKE_WHY_INSTALL, NULL);
		count(ike, IKE_WHY_INSTALL);
		chain_cut(&out->reply, out->child_mark);
		chain_notify(&out->reply, N_NO_ADDITIONAL_SAS, NULL, 0);
		c = NULL;
	}
	if (!out->drop_ike)
		sa->state = out->next;
	send_reply(ike, sa, m, path, &out->reply);
	if (first && !out->drop_ike)
		came_up(ike, sa, out);
	if (out->ike.present)
		succeed(ike, sa, out);
	if (c)
		child_begins(ike, sa, out, c);
	drop_children(ike, sa, out);
}

static void commit_response(struct ike *ike, struct ike_sa *sa, struct outcome *out)
{
	bool first = sa->state == SA_AUTH_SENT;
	enum task task = sa->req.task;
	struct child *c = NULL;

	if (first && out->next == SA_CLOSING) {
		sa->auth_failed = true;
		sa->why = out->why;
		sa->state = SA_CLOSING;
		attempt_failed(ike, sa, sa->offered.rule, out->why);
	}
	if (out->child.present)
		child_add(ike, sa, &out->child, false, &c);
	else if (sa->offered.spi_in)
		ike->env.free_spi(ike->env.self, sa->offered.spi_in);
	sa->offered.spi_in = 0;
	sa->state = out->next;
	request_done(sa);
	if (first && sa->state == SA_UP)
		came_up(ike, sa, out);
	if (out->ike.present)
		succeed(ike, sa, out);
	if (c)
		child_begins(ike, sa, out, c);
	if (out->child_failed || (c && c->why == IKE_WHY_INSTALL))
		child_refused(ike, sa, task, out);
	drop_children(ike, sa, out);
}

static void end_by_peer(struct ike *ike, struct ike_sa *sa, enum ike_reason why)
{
	struct ike_sa *rival = sa->rival ? sa_by_ours(ike, sa->rival) : NULL;

	if (rival && rival->state == SA_UP) {
		bool waiting = sa->req.task == TASK_REKEY_IKE;

		/* The peer's rekey has won before its answer to ours was here.  That answer is still wanted:
		 * it names the SA that we have to close. */
		give_way(ike, sa, rival);
		if (waiting)
			return;
	}
	sa_end(ike, sa, why);
}

void commit(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
	    struct outcome *out)
{
	record(ike, sa, m, out);
	if (!sa) {
		commit_first(ike, m, path, out);
	} else if (sa->state == SA_INIT_SENT) {
		if (out->ignore && out->why)
			init_refused(ike, sa, out->why);
		if (out->ignore)
			return;
		if (out->ike.present)
			init_done(ike, sa, m, out);
		else
			init_again(ike, sa, out);
	} else if (msg_is_response(m)) {
		commit_response(ike, sa, out);
	} else {
		commit_answer(ike, sa, m, path, out);
	}
	if (sa && out->drop_ike)
		end_by_peer(ike, sa, out->drop_why);
	explicit_bzero(&out->ike.keys, sizeof(out->ike.keys));
	explicit_bzero(&out->child.sa.in, sizeof(out->child.sa.in));
	explicit_bzero(&out->child.sa.out, sizeof(out->child.sa.out));
}

/* A request that cannot be answered with more than an error. */
void commit_refusal(struct ike *ike, struct ike_sa *sa, const struct msg *m, const struct path *path,
		    uint16_t notify, const void *data, size_t len)
{
	struct chain c;
	uint8_t buf[64];

	chain_begin(&c, buf, sizeof(buf));
	chain_notify(&c, notify, data, len);
	send_reply(ike, sa, m, path, &c);
	/* RFC 7296 2.21.2: an IKE_AUTH that cannot be read ends the attempt. */
	if (sa->state == SA_HALF_OPEN)
		sa_end(ike, sa, m->why ? m->why : IKE_WHY_PAYLOADS);
}
