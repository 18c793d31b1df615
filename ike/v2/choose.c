/* SPDX-License-Identifier: BSD-2-Clause */
/* Which configured peer is meant: first by address, again by identity once that is known. */
#include "sa.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>

static bool address_fits(const struct peer *p, const struct path *path)
{
	return (addr_is_unspecified(&p->conf.local_addr) ||
		addr_eq(&p->conf.local_addr, &path->local.addr)) &&
	       (addr_is_unspecified(&p->conf.remote_addr) ||
		addr_eq(&p->conf.remote_addr, &path->remote.addr));
}

static int address_score(const struct peer *p)
{
	return 1 + 2 * !addr_is_unspecified(&p->conf.remote_addr) + !addr_is_unspecified(&p->conf.local_addr);
}

/* A call goes on with whoever can take it, and its identity decides later; with a barred peer it ends here. */
static int address_rank(const struct peer *p, bool accepts)
{
	return 64 * (accepts && !p->barred) + 32 * accepts + 2 * address_score(p) + !p->barred;
}

/* The closest by address that accepts the proposal; when none accepts, the closest and suite->protocol 0.  A
 * barred peer only when no other one accepts: it stands in nobody's way. */
struct peer *peer_by_address(const struct ike *ike, const struct path *path, struct span sa,
			     struct suite *suite, bool *malformed)
{
	struct peer *p, *best = NULL;
	int best_rank = 0;

	*malformed = false;
	suite->protocol = 0;
	for (p = ike->peers; p; p = p->next) {
		struct proposals ours;
		struct suite s;
		struct span spi;
		int err, rank;

		if (!address_fits(p, path))
			continue;
		proposals_ike(&p->conf, &ours);
		err = proposal_select(sa, &ours, 0, &s, &spi);
		*malformed |= err == -EBADMSG;
		rank = address_rank(p, !err);
		if (rank <= best_rank)
			continue;
		best = p;
		best_rank = rank;
		if (!err)
			*suite = s;
	}
	return best;
}

static bool suite_allowed(const struct peer *p, const struct suite *s)
{
	struct proposals ours;
	struct suite got;
	struct chain c;
	struct span spi;
	uint8_t buf[128];

	proposals_ike(&p->conf, &ours);
	chain_begin(&c, buf, sizeof(buf));
	proposal_write_chosen(&c, s, NULL, 0);
	return !c.w.bad && !proposal_select((struct span){buf + 4, c.w.len - 4}, &ours, 0, &got, &spi);
}

bool id_matches(const struct ike_id *conf, uint8_t type, struct span data)
{
	return conf->type == ID_ANY ||
	       (conf->type == type && conf->len == data.len && memcmp(conf->data, data.p, data.len) == 0);
}

/* IDi must be a peer's remote identity; IDr, when sent, its local one (RFC 7296 3.5, 2.15).  An identity that
 * is spelled out beats "any", then the address decides.  A barred peer is found like any other, even by a suite
 * that was another one's, so that nobody answers in its place; of two that cannot be told apart it is not the
 * one. */
struct peer *peer_by_id(const struct ike *ike, const struct ike_sa *sa, const struct msg *m)
{
	const struct path path = {sa->local, sa->remote};
	struct peer *p, *best = NULL;
	int best_score = 0;

	for (p = ike->peers; p; p = p->next) {
		struct ike_id local = local_id_of(p, &sa->local.addr);
		int score;

		if (!address_fits(p, &path) || !(p->barred || suite_allowed(p, &sa->suite)))
			continue;
		if (!id_matches(&p->conf.remote_id, m->idi.type, m->idi.data))
			continue;
		if (m->idr.type && !id_matches(&local, m->idr.type, m->idr.data))
			continue;
		score = 16 * (p->conf.remote_id.type != ID_ANY) + 2 * address_score(p) + !p->barred;
		if (score > best_score) {
			best = p;
			best_score = score;
		}
	}
	return best;
}

struct ike_id local_id_of(const struct peer *peer, const struct addr *local)
{
	struct ike_id id = peer->conf.local_id;
	const uint8_t *octets;

	if (id.type != ID_ANY)
		return id;
	id.len = addr_octets(local, &octets);
	id.type = id.len == 4 ? ID_IPV4 : ID_IPV6;
	memcpy(id.data, octets, id.len);
	return id;
}

void id_text(uint8_t type, struct span data, char *buf, size_t size)
{
	char text[200], a[ADDR_STRLEN];
	struct addr addr;

	if ((type == ID_IPV4 && data.len == 4) || (type == ID_IPV6 && data.len == 16)) {
		addr = type == ID_IPV4 ? addr_from_v4(data.p) : addr_from_v6(data.p);
		snprintf(buf, size, "%s", addr_str(&addr, a));
		return;
	}
	if (type == ID_ANY) {
		snprintf(buf, size, "any");
		return;
	}
	log_text(data.p, data.len, text, sizeof(text));
	snprintf(buf, size, "%s:%s",
		 type == ID_FQDN     ? "fqdn"
		 : type == ID_RFC822 ? "user-fqdn"
		 : type == ID_KEY_ID ? "key-id"
				     : "other",
		 text);
}
