/* SPDX-License-Identifier: BSD-2-Clause */
/* INFORMATIONAL: liveness and deletes (RFC 7296 1.4, 2.4). */
#include "sa.h"

int ask_alive(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	(void)ike;
	(void)sa;
	ask->task = TASK_ALIVE;
	ask->exchange = EXCH_INFO;
	return 0;
}

int ask_auth_failed(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	(void)ike;
	(void)sa;
	ask->task = TASK_AUTH_FAILED;
	ask->exchange = EXCH_INFO;
	chain_notify(&ask->chain, N_AUTHENTICATION_FAILED, NULL, 0);
	return 0;
}

int ask_delete_ike(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	(void)ike;
	(void)sa;
	ask->task = TASK_DELETE_IKE;
	ask->exchange = EXCH_INFO;
	chain_add(&ask->chain, PL_DELETE, "\1\0\0\0", 4);
	return 0;
}

static void put_delete(struct chain *c, const uint32_t *spis, unsigned n)
{
	unsigned i;

	chain_open(c, PL_DELETE);
	wr_u8(&c->w, PROTO_ESP);
	wr_u8(&c->w, 4);
	wr_be16(&c->w, n);
	for (i = 0; i < n; i++)
		wr_be32(&c->w, spis[i]);
	chain_close(c);
}

/* Everything of this SA that wants to go, up to a batch. */
int ask_delete_children(const struct ike *ike, const struct ike_sa *sa, struct ask *ask)
{
	uint32_t spis[DELETE_BATCH];
	const struct child *c;
	unsigned n = 0;

	(void)ike;
	for (c = sa->children; c && n < DELETE_BATCH; c = c->next)
		if (c->want_delete)
			spis[n++] = c->sa.spi_in;
	ask->task = TASK_DELETE_CHILDREN;
	ask->exchange = EXCH_INFO;
	put_delete(&ask->chain, spis, n);
	return n ? 0 : -1;
}

static bool dropped(const struct outcome *out, uint32_t spi_in)
{
	unsigned i;

	for (i = 0; i < out->n_drop; i++)
		if (out->drop[i] == spi_in)
			return true;
	return false;
}

/* The SPIs of a D payload are those of the sender's inbound side, so our outbound ones. */
static void drop_children(const struct ike_sa *sa, const struct msg_delete *d, struct outcome *out,
			  uint32_t *ours, unsigned *n_ours)
{
	struct rd r = rd_of(d->spis.p, d->spis.len);
	unsigned i;

	if (d->protocol != PROTO_ESP)
		return;
	for (i = 0; i < d->count; i++) {
		const struct child *c = child_by_out(sa, rd_be32(&r));

		if (!c || dropped(out, c->sa.spi_in) ||
		    out->n_drop == sizeof(out->drop) / sizeof(out->drop[0]))
			continue;
		out->drop[out->n_drop++] = c->sa.spi_in;
		/* RFC 7296 1.4.1: deletes that cross do not name the other half again. */
		if (!c->delete_sent)
			ours[(*n_ours)++] = c->sa.spi_in;
	}
}

void answer_info(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		 struct outcome *out)
{
	uint32_t ours[sizeof(out->drop) / sizeof(out->drop[0])];
	unsigned i, n_ours = 0;

	(void)ike;
	(void)path;
	for (i = 0; i < m->n_del; i++) {
		if (m->del[i].protocol == PROTO_IKE) {
			out->drop_ike = true;
			out->drop_why = sa->state == SA_REKEYED ? IKE_WHY_REKEYED : IKE_WHY_PEER_DELETE;
		} else {
			drop_children(sa, &m->del[i], out, ours, &n_ours);
		}
	}
	if (msg_notify(m, N_AUTHENTICATION_FAILED)) {
		refuse(out, IKE_WHY_AUTH_REMOTE, "the peer does not believe our identity");
		out->drop_ike = true;
		out->drop_why = out->why;
	}
	/* The whole SA goes: its children are implied (RFC 7296 1.4.1). */
	if (n_ours && !out->drop_ike)
		put_delete(&out->reply, ours, n_ours);
}

void heard_info(const struct ike *ike, const struct ike_sa *sa, const struct msg *m, const struct path *path,
		struct outcome *out)
{
	const struct child *c;

	(void)ike;
	(void)m;
	(void)path;
	switch (sa->req.task) {
	case TASK_DELETE_CHILDREN:
		for (c = sa->children; c; c = c->next)
			if (c->delete_sent && out->n_drop < sizeof(out->drop) / sizeof(out->drop[0]))
				out->drop[out->n_drop++] = c->sa.spi_in;
		break;
	case TASK_DELETE_IKE:
	case TASK_AUTH_FAILED:
		out->drop_ike = true;
		out->drop_why = sa->why;
		break;
	case TASK_NONE:
	case TASK_INIT:
	case TASK_AUTH:
	case TASK_NEW_CHILD:
	case TASK_REKEY_CHILD:
	case TASK_REKEY_IKE:
	case TASK_ALIVE:
		break;
	}
}
