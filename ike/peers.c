// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway.h"
#include "log.h"

enum { TYPE_ENCR = 1, TYPE_PRF, TYPE_INTEG, TYPE_DH };

static void put_algs(struct ike_proposal *p, uint8_t type, const struct conf_algs *algs)
{
	unsigned i;

	for (i = 0; i < algs->n && p->n < IKE_MAX_TRANSFORMS; i++)
		p->t[p->n++] = (struct ike_transform){type, algs->v[i].id, algs->v[i].key_bits};
}

static void fill_id(const struct conf_id *from, struct ike_id *to)
{
	to->type = from->type;
	to->len = from->len;
	memcpy(to->data, from->octets, from->len);
}

static void fill_ts(const struct addr_range *addrs, uint8_t protocol, const uint16_t port[2],
		    struct ike_ts *ts)
{
	*ts = (struct ike_ts){.addrs = *addrs, .proto = protocol, .port_min = port[0], .port_max = port[1]};
}

static void fill_child(const struct conf_rule *r, struct ike_child_conf *c)
{
	const struct conf_entry *e = r->entry;
	unsigned i;

	c->rule = r->id;
	snprintf(c->name, sizeof(c->name), "%s", r->name);
	c->n_local = c->n_remote = 1;
	fill_ts(&r->match->local, r->match->protocol, r->match->local_port, &c->local[0]);
	fill_ts(&r->match->remote, r->match->protocol, r->match->remote_port, &c->remote[0]);
	c->start_auto = e->trigger == CONF_ON_START;
	c->pfs_group = e->pfs.n ? e->pfs.v[0].id : 0;
	for (i = 0; i < e->n_esp && i < IKE_MAX_PROPOSALS; i++) {
		put_algs(&c->esp[i], TYPE_ENCR, &e->esp[i]->encryption);
		put_algs(&c->esp[i], TYPE_INTEG, &e->esp[i]->integrity);
		c->n_esp++;
	}
	if (e->esp[0]->esn != CONF_ESN_NO)
		c->esn[c->n_esn++] = 1;
	if (e->esp[0]->esn != CONF_ESN_YES)
		c->esn[c->n_esn++] = 0;
	c->lifetime_s = e->esp[0]->lifetime_s;
	c->replay_window = e->esp[0]->replay_window;
}

/* The address that a datagram to this peer would leave from: what connect() on an unused port picks. */
void peers_route(void *self, const struct addr *remote, struct addr *ret)
{
	struct endpoint to = {.addr = *remote, .port = 500}, from;
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&to, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)self;
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0) {
		len = sizeof(ss);
		if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
		    endpoint_from_sockaddr((struct sockaddr *)&ss, &from) == 0)
			*ret = from.addr;
	}
	close(fd);
}

static void fill_peer(const struct conf_peer *peer, struct ike_peer_conf *p)
{
	unsigned i;

	snprintf(p->name, sizeof(p->name), "%s", peer->name);
	if (!peer->local_any)
		p->local_addr = peer->local;
	if (!peer->remote_any)
		p->remote_addr = peer->remote;
	fill_id(&peer->local_id, &p->local_id);
	fill_id(&peer->remote_id, &p->remote_id);
	for (i = 0; i < peer->n_ike && i < IKE_MAX_PROPOSALS; i++) {
		put_algs(&p->ike[i], TYPE_ENCR, &peer->ike[i]->encryption);
		put_algs(&p->ike[i], TYPE_PRF, &peer->ike[i]->prf);
		put_algs(&p->ike[i], TYPE_INTEG, &peer->ike[i]->integrity);
		put_algs(&p->ike[i], TYPE_DH, &peer->ike[i]->dh);
		p->n_ike++;
	}
	p->lifetime_s = peer->n_ike ? peer->ike[0]->lifetime_s : 0;
	p->nat_traversal = peer->nat_traversal != CONF_NAT_NO;
	p->force_encap = peer->nat_traversal == CONF_NAT_FORCE;
	p->dpd.idle_s = peer->dpd.idle_s;
	p->dpd.interval_s = peer->dpd.interval_s;
	p->dpd.retries = peer->dpd.retries;
}

/* The peer's permit rules; false when there are more than children has room for. */
static bool fill_children(const struct conf *c, const struct conf_peer *peer, struct ike_peer_conf *p,
			  struct ike_child_conf *children)
{
	size_t r;

	p->children = children;
	for (r = 0; r < c->n_rules; r++) {
		if (c->rules[r].entry->peer != peer || !c->rules[r].match->permit)
			continue;
		if (p->n_children == IKE_MAX_CHILDREN)
			return false;
		fill_child(&c->rules[r], &children[p->n_children++]);
	}
	return true;
}

/* What is wrong with one peer is that peer's failure: its rules stand and block, the others run. */
static int bar(struct gateway *g, const struct ike_peer_conf *p, enum ike_reason why, const char *wrong)
{
	char text[IKE_DETAIL_MAX];

	snprintf(text, sizeof(text), "%.440s. Reload aditd (SIGHUP) when that is mended.", wrong);
	return ike_peer_bar(g->ike, p, why, text);
}

static int add_or_bar(struct gateway *g, const struct conf_peer *peer, struct ike_peer_conf *p, bool fits)
{
	char detail[IKE_DETAIL_MAX] = "";
	int err;

	if (!peer->psk)
		return bar(g, p, IKE_WHY_NO_KEY, peer->psk_wrong);
	if (!fits || peer->psk_len > sizeof(p->psk))
		return bar(g, p, IKE_WHY_BAD_PEER, fits ? "its key is too long" : "it has too many rules");
	memcpy(p->psk, peer->psk, peer->psk_len);
	p->psk_len = (uint16_t)peer->psk_len;
	err = ike_peer_add(g->ike, p, detail);
	return err == -EINVAL ? bar(g, p, IKE_WHY_BAD_PEER, detail) : err;
}

static int add_peer(struct gateway *g, const struct conf_peer *peer)
{
	struct ike_child_conf *children = calloc(IKE_MAX_CHILDREN, sizeof(*children));
	struct ike_peer_conf *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (children && p) {
		fill_peer(peer, p);
		err = add_or_bar(g, peer, p, fill_children(g->conf, peer, p, children));
	}
	if (err)
		log_error("peer %s: %s", peer->name, strerror(-err));
	if (p)
		OPENSSL_cleanse(p, sizeof(*p));
	free(p);
	free(children);
	return err;
}

int peers_add_all(struct gateway *g)
{
	size_t i;
	int err;

	for (i = 0; i < g->conf->n_peers; i++) {
		err = add_peer(g, g->conf->peers[i]);
		if (err)
			return err;
	}
	return 0;
}
