/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of IKE SAs and what hangs on one. */
#include "sa.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static unsigned bucket(uint64_t spi)
{
	/* SPIs of strangers are theirs to choose: a multiplicative mix, not the low bits. */
	return (spi * 0x9e3779b97f4a7c15u) >> 52;
}

int fresh_spi(const struct ike *ike, uint64_t *spi)
{
	int tries;

	for (tries = 0; tries < 8; tries++) {
		if (ike->env.random(ike->env.self, spi, sizeof(*spi)))
			return -EIO;
		if (*spi && !sa_by_ours(ike, *spi))
			return 0;
	}
	return -EIO;
}

struct ike_sa *sa_new(struct ike *ike, uint64_t spi_ours, uint64_t spi_theirs, struct peer *peer)
{
	struct ike_sa *sa = calloc(1, sizeof(*sa));

	if (!sa)
		return NULL;
	sa->spi_ours = spi_ours;
	sa_set_peer(sa, peer);
	sa->born_seq = ++ike->seq;
	sa->born_ms = sa->heard_ms = now(ike);
	sa->delete_ms = sa->rekey_ms = sa->expire_ms = sa->give_up_ms = sa->keepalive_ms = UINT64_MAX;
	sa->next = ike->sas;
	sa->prev_next = &ike->sas;
	if (sa->next)
		sa->next->prev_next = &sa->next;
	ike->sas = sa;
	sa->next_ours = ike->by_ours[bucket(spi_ours)];
	ike->by_ours[bucket(spi_ours)] = sa;
	ike->n_sas++;
	if (spi_theirs)
		sa_set_theirs(ike, sa, spi_theirs);
	return sa;
}

void sa_set_peer(struct ike_sa *sa, struct peer *peer)
{
	if (sa->peer) {
		*sa->prev_of_peer = sa->next_of_peer;
		if (sa->next_of_peer)
			sa->next_of_peer->prev_of_peer = sa->prev_of_peer;
	}
	sa->peer = peer;
	if (!peer)
		return;
	sa->next_of_peer = peer->sas;
	sa->prev_of_peer = &peer->sas;
	if (peer->sas)
		peer->sas->prev_of_peer = &sa->next_of_peer;
	peer->sas = sa;
}

void sa_set_theirs(struct ike *ike, struct ike_sa *sa, uint64_t spi_theirs)
{
	sa->spi_theirs = spi_theirs;
	sa->next_theirs = ike->by_theirs[bucket(spi_theirs)];
	ike->by_theirs[bucket(spi_theirs)] = sa;
}

static void unhash(struct ike *ike, struct ike_sa *sa)
{
	struct ike_sa **at;

	for (at = &ike->by_ours[bucket(sa->spi_ours)]; *at && *at != sa; at = &(*at)->next_ours)
		;
	if (*at)
		*at = sa->next_ours;
	if (!sa->spi_theirs)
		return;
	for (at = &ike->by_theirs[bucket(sa->spi_theirs)]; *at && *at != sa; at = &(*at)->next_theirs)
		;
	if (*at)
		*at = sa->next_theirs;
}

void sa_free(struct ike *ike, struct ike_sa *sa)
{
	struct child *c;

	if (!sa)
		return;
	sa_counted(ike, sa, false);
	unhash(ike, sa);
	sa_set_peer(sa, NULL);
	*sa->prev_next = sa->next;
	if (sa->next)
		sa->next->prev_next = sa->prev_next;
	while ((c = sa->children)) {
		sa->children = c->next;
		OPENSSL_cleanse(c, sizeof(*c));
		free(c);
		ike->n_children--;
	}
	packet_free(&sa->init_ours);
	packet_free(&sa->init_theirs);
	packet_free(&sa->req.packet);
	packet_free(&sa->reply);
	dh_free(sa->offered.dh);
	OPENSSL_cleanse(sa, sizeof(*sa));
	free(sa);
	ike->n_sas--;
}

void sa_counted(struct ike *ike, struct ike_sa *sa, bool half_open)
{
	if (sa->counted == half_open)
		return;
	sa->counted = half_open;
	ike->half_open += half_open ? 1 : -1;
}

struct ike_sa *sa_by_ours(const struct ike *ike, uint64_t spi)
{
	struct ike_sa *sa = ike->by_ours[bucket(spi)];

	while (sa && sa->spi_ours != spi)
		sa = sa->next_ours;
	return sa;
}

/* The SA that a first message made, for when that message comes again. */
struct ike_sa *sa_half_open(const struct ike *ike, uint64_t spi, const struct endpoint *remote)
{
	struct ike_sa *sa = ike->by_theirs[bucket(spi)];

	while (sa && !(sa->spi_theirs == spi && !sa->initiator && sa->init_theirs.octets &&
		       sa->remote.port == remote->port && addr_eq(&sa->remote.addr, &remote->addr)))
		sa = sa->next_theirs;
	return sa;
}

unsigned half_open_from(const struct ike *ike, const struct addr *a)
{
	const struct ike_sa *sa;
	unsigned n = 0;

	if (ike->half_open < ike->limits.half_open_per_source)
		return 0;
	for (sa = ike->sas; sa; sa = sa->next)
		n += sa->counted && addr_eq(&sa->remote.addr, a);
	return n;
}

struct child *child_by_in(const struct ike_sa *sa, uint32_t spi)
{
	struct child *c = sa->children;

	while (c && c->sa.spi_in != spi)
		c = c->next;
	return c;
}

struct child *child_by_out(const struct ike_sa *sa, uint32_t spi)
{
	struct child *c = sa->children;

	while (c && c->sa.spi_out != spi)
		c = c->next;
	return c;
}

/* The replacement of the same child that the peer's request made.  The old one may be gone by now: the peer's
 * delete can overtake its answer to ours. */
struct child *child_rival(const struct ike_sa *sa, uint32_t old_spi_in)
{
	struct child *c = sa->children;

	while (c && !(old_spi_in && c->by_peer && c->sa.replaces_spi_in == old_spi_in))
		c = c->next;
	return c;
}

struct slot *slot_by_rule(const struct peer *peer, uint32_t rule)
{
	unsigned i;

	for (i = 0; i < peer->conf.n_children; i++)
		if (peer->slots[i].conf.rule == rule)
			return &peer->slots[i];
	return NULL;
}

bool peer_up(const struct peer *peer)
{
	const struct ike_sa *sa = peer->sas;

	while (sa && (sa->state != SA_UP || sa->want_delete))
		sa = sa->next_of_peer;
	return sa;
}

bool slot_busy(const struct peer *peer, uint32_t rule)
{
	const struct ike_sa *sa;
	const struct child *c;

	for (sa = peer->sas; sa; sa = sa->next_of_peer) {
		if (sa->state == SA_GONE || sa_leaving(sa))
			continue;
		if (sa->req.task != TASK_NONE && sa->offered.spi_in && sa->offered.rule == rule)
			return true;
		if (sa->state == SA_INIT_SENT && sa->offered.rule == rule)
			return true;
		if (sa->state == SA_CLOSING)
			continue;
		for (c = sa->children; c; c = c->next)
			if (c->sa.rule == rule && c->state == CHILD_UP && !c->want_delete)
				return true;
	}
	return false;
}

int packet_store(struct packet *p, const uint8_t *message, size_t len, const char *text)
{
	uint8_t *octets = malloc(MARKER + len);

	if (!octets)
		return -ENOMEM;
	memset(octets, 0, MARKER);
	memcpy(octets + MARKER, message, len);
	free(p->octets);
	p->octets = octets;
	p->len = len;
	memcpy(p->text, text, sizeof(p->text) - 1);
	p->text[sizeof(p->text) - 1] = '\0';
	return 0;
}

void packet_free(struct packet *p)
{
	free(p->octets);
	p->octets = NULL;
	p->len = 0;
}

static void sweep_peers(struct ike *ike)
{
	struct peer **at = &ike->removed, *p;

	while ((p = *at)) {
		if (p->sas) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		OPENSSL_cleanse(&p->conf, sizeof(p->conf));
		free(p->slots);
		free(p);
	}
}

/* Free what is GONE and has nothing left to repeat. */
void sweep(struct ike *ike)
{
	uint64_t t = now(ike), again = UINT64_MAX;
	struct ike_sa *sa, *next;

	if (t < ike->sweep_ms)
		return;
	for (sa = ike->sas; sa; sa = next) {
		next = sa->next;
		if (sa->state != SA_GONE)
			continue;
		if (!sa->reply.octets || sa->give_up_ms <= t)
			sa_free(ike, sa);
		else if (sa->give_up_ms < again)
			again = sa->give_up_ms;
	}
	ike->sweep_ms = again;
	sweep_peers(ike);
}

int nonce_cmp(const struct nonce *a, const struct nonce *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int c = memcmp(a->b, b->b, len);

	return c ? c : (int)a->len - (int)b->len;
}

void nonce_set(struct nonce *n, struct span s)
{
	n->len = s.len < sizeof(n->b) ? s.len : sizeof(n->b);
	if (n->len)
		memcpy(n->b, s.p, n->len);
}

int nonce_new(const struct ike *ike, struct nonce *n)
{
	n->len = NONCE_LEN;
	return ike->env.random(ike->env.self, n->b, NONCE_LEN);
}

struct nonce nonce_low(const struct nonce *a, const struct nonce *b)
{
	return nonce_cmp(a, b) <= 0 ? *a : *b;
}
