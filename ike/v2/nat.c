/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT detection, RFC 7296 2.23. */
#include "sa.h"

#include <openssl/evp.h>

void nat_hash(uint64_t i, uint64_t r, const struct endpoint *e, uint8_t ret[20])
{
	const uint8_t *octets;
	size_t len = addr_octets(&e->addr, &octets);
	uint8_t buf[34];
	struct wr w = wr_of(buf, sizeof(buf));

	wr_be64(&w, i);
	wr_be64(&w, r);
	wr_put(&w, octets, len);
	wr_be16(&w, e->port);
	EVP_Digest(buf, w.len, ret, NULL, EVP_sha1(), NULL);
}

void nat_write(const struct ike *ike, struct chain *c, const struct peer *peer, uint64_t i, uint64_t r,
	       const struct path *path)
{
	uint8_t hash[20];

	if (!peer->conf.nat_traversal)
		return;
	nat_hash(i, r, &path->local, hash);
	/* A source that cannot be ours makes the peer see a NAT. */
	if (peer->conf.force_encap && ike->env.random(ike->env.self, hash, sizeof(hash)))
		hash[0] ^= 1;
	chain_notify(c, N_NAT_SOURCE, hash, sizeof(hash));
	nat_hash(i, r, &path->remote, hash);
	chain_notify(c, N_NAT_DESTINATION, hash, sizeof(hash));
}

/* A peer may list several source hashes; one that fits is enough. */
void nat_detect(const struct msg *m, const struct path *path, struct outcome *out)
{
	uint8_t source[20], destination[20];
	bool source_fits = false, destination_fits = false, source_seen = false, destination_seen = false;
	unsigned i;

	nat_hash(m->h.spi_i, m->h.spi_r, &path->remote, source);
	nat_hash(m->h.spi_i, m->h.spi_r, &path->local, destination);
	for (i = 0; i < m->n_notify; i++) {
		const struct msg_notify *n = &m->notify[i];

		if (n->data.len != 20)
			continue;
		if (n->type == N_NAT_SOURCE) {
			source_seen = true;
			source_fits |= memcmp(n->data.p, source, 20) == 0;
		} else if (n->type == N_NAT_DESTINATION) {
			destination_seen = true;
			destination_fits |= memcmp(n->data.p, destination, 20) == 0;
		}
	}
	out->natt = source_seen && destination_seen;
	out->nat_remote = out->natt && !source_fits;
	out->nat_local = out->natt && !destination_fits;
}
