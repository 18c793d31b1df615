/* SPDX-License-Identifier: BSD-2-Clause */
#include "pair.h"

#include <stdlib.h>

#include <errno.h>

/* ---- the environment of one end ------------------------------------------------------------ */

static uint64_t env_now(void *self)
{
	return ((struct end *)self)->pair->now;
}

static int env_random(void *self, void *buf, size_t len)
{
	struct end *e = self;
	uint8_t *p = buf;

	while (len--) {
		e->random ^= e->random << 13;
		e->random ^= e->random >> 7;
		e->random ^= e->random << 17;
		*p++ = e->random >> 24;
	}
	return 0;
}

static void env_send(void *self, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *octets, size_t len)
{
	struct end *e = self;
	struct pair *p = e->pair;
	struct datagram *d;

	assert_true(addr_eq(&local->addr, &e->addr));
	if (p->n_wire == WIRE_MAX) {
		p->overflow++;
		return;
	}
	d = &p->wire[p->n_wire++];
	d->from = *local;
	d->to = *remote;
	d->len = len;
	assert_true(len && len <= sizeof(d->octets));
	memcpy(d->octets, octets, len);
	if (e->natted) {
		d->from.addr = e->outside;
		d->from.port += e->nat_shift;
	}
}

static uint32_t env_alloc_spi(void *self)
{
	struct end *e = self;

	e->spis_out++;
	return ++e->next_spi;
}

static void env_free_spi(void *self, uint32_t spi)
{
	struct end *e = self;

	assert_true(spi);
	e->spis_out--;
}

static struct kid *kid_of(struct end *e, uint32_t spi_in)
{
	unsigned i;

	for (i = 0; i < e->n_kids; i++)
		if (e->kids[i].sa.spi_in == spi_in)
			return &e->kids[i];
	return NULL;
}

static int env_child_install(void *self, const struct child_sa *c, enum ike_direction dir)
{
	struct end *e = self;
	struct kid *k = kid_of(e, c->spi_in);

	if (dir == IKE_OUT) {
		/* Never before inbound, and from then on it is the one that carries. */
		assert_non_null(k);
		assert_true(k->in);
		if (e->fail_out) {
			e->fail_out--;
			return -ENOSPC;
		}
		k->out = true;
		k->out_seq = ++e->pair->seq;
		return 0;
	}
	assert_null(k);
	assert_true(e->n_kids < KIDS_MAX);
	if (e->fail_install) {
		e->fail_install--;
		return -ENOSPC;
	}
	e->spis_out--;
	e->kids[e->n_kids++] = (struct kid){.sa = *c, .in = true};
	return 0;
}

static void env_child_remove(void *self, const struct child_sa *c, enum ike_reason why)
{
	struct end *e = self;
	struct kid *k = kid_of(e, c->spi_in);

	(void)why;
	assert_non_null(k);
	*k = e->kids[--e->n_kids];
}

static void env_child_moved(void *self, const struct child_sa *c)
{
	struct end *e = self;
	struct kid *k = kid_of(e, c->spi_in);

	assert_non_null(k);
	k->sa = *c;
	e->moved++;
}

static void env_event(void *self, const struct ike_event *ev)
{
	struct end *e = self;

	if (getenv("IKE_TRACE")) {
		char l[ADDR_STRLEN] = "", r[ADDR_STRLEN] = "";

		if (ev->local)
			endpoint_str(ev->local, l), endpoint_str(ev->remote, r);
		static const char *const kinds[] = {"sent",	"received",   "UP",    "DOWN",
						    "CHILD UP", "CHILD DOWN", "FAILED"};

		fprintf(stderr, "# %6llu %c %s %s>%s %s%s id %u re %u [%s] %s %s spi %08x\n",
			(unsigned long long)e->pair->now, e == &e->pair->e[0] ? 'A' : 'B', kinds[ev->kind], l,
			r, ev->exchange ? ike_exchange_name(ev->exchange) : "",
			ev->response ? " response" : "", ev->message_id, ev->retransmit,
			ev->payloads ? ev->payloads : "", ev->why ? ike_reason_name(ev->why) : "",
			ev->detail ? ev->detail : "", ev->child ? ev->child->spi_in : 0);
	}
	switch (ev->kind) {
	case IKE_EVENT_SENT:
		e->sent++;
		e->retransmits += ev->retransmit > 0;
		break;
	case IKE_EVENT_RECEIVED:
		e->received++;
		break;
	case IKE_EVENT_UP:
		e->ups++;
		break;
	case IKE_EVENT_DOWN:
		e->downs++;
		e->down_why = ev->why;
		break;
	case IKE_EVENT_CHILD_UP:
		e->child_ups++;
		break;
	case IKE_EVENT_CHILD_DOWN:
		e->child_downs++;
		e->child_why = ev->why;
		break;
	case IKE_EVENT_FAILED:
		e->failures++;
		e->why = ev->why;
		if (ev->final) {
			e->finals++;
			e->final_rule = ev->rule;
		}
		break;
	}
}

/* ---- configuration ------------------------------------------------------------------------- */

void plan_proposal(struct ike_proposal *p, const char *text)
{
	unsigned id, bits;
	char kind;
	int n;

	memset(p, 0, sizeof(*p));
	while (sscanf(text, " %c%n", &kind, &n) == 1) {
		text += n;
		bits = 0;
		if (sscanf(text, "%u/%u%n", &id, &bits, &n) != 2)
			assert_int_equal(sscanf(text, "%u%n", &id, &n), 1);
		text += n;
		p->t[p->n++] = (struct ike_transform){strchr("?EPIDN", kind) - "?EPIDN", id, bits};
	}
}

struct ike_ts plan_ts(const char *prefix)
{
	struct ike_ts ts;
	struct addr a;
	unsigned len;

	memset(&ts, 0, sizeof(ts));
	ts.port_max = 65535;
	assert_int_equal(prefix_parse(prefix, &a, &len), 0);
	prefix_range(&a, len, &ts.addrs);
	return ts;
}

struct ike_id plan_id(uint8_t type, const char *text)
{
	struct ike_id id;

	memset(&id, 0, sizeof(id));
	id.type = type;
	id.len = strlen(text);
	memcpy(id.data, text, id.len);
	return id;
}

static const char *const addrs[2] = {"192.0.2.1", "198.51.100.2"};
static const char *const nets[2] = {"10.1.0.0/16", "10.2.0.0/16"};
static const char *const ids[2] = {"left.example", "right.example"};

void plan_default(struct plan *plan)
{
	int i;

	memset(plan, 0, sizeof(*plan));
	for (i = 0; i < 2; i++) {
		struct ike_peer_conf *c = &plan->peer[i];
		struct ike_child_conf *k = &plan->child[i][0];

		strcpy(c->name, i ? "left" : "right");
		assert_int_equal(addr_parse(addrs[i], &c->local_addr), 0);
		assert_int_equal(addr_parse(addrs[!i], &c->remote_addr), 0);
		c->local_id = plan_id(2, ids[i]);
		c->remote_id = plan_id(2, ids[!i]);
		c->psk_len = 9;
		memcpy(c->psk, "swordfish", 9);
		c->n_ike = 1;
		plan_proposal(&c->ike[0], "E20/256P5D31");
		c->nat_traversal = true;
		c->n_children = 1;
		k->rule = 10;
		strcpy(k->name, "net");
		k->n_local = k->n_remote = 1;
		k->local[0] = plan_ts(nets[i]);
		k->remote[0] = plan_ts(nets[!i]);
		k->n_esp = 1;
		plan_proposal(&k->esp[0], "E20/128");
		k->n_esn = 2;
		k->esn[0] = 1;
	}
}

void plan_two_children(struct plan *plan)
{
	int i;

	plan_default(plan);
	for (i = 0; i < 2; i++) {
		plan->peer[i].n_children = 2;
		plan->child[i][1] = plan->child[i][0];
		plan->child[i][1].rule = 20;
		strcpy(plan->child[i][1].name, "other");
		plan->child[i][1].local[0] = plan_ts(i ? "10.4.0.0/16" : "10.3.0.0/16");
		plan->child[i][1].remote[0] = plan_ts(i ? "10.3.0.0/16" : "10.4.0.0/16");
	}
}

void pair_start(struct pair *p, const struct plan *plan, uint64_t seed)
{
	char detail[IKE_DETAIL_MAX];
	int i;

	memset(p, 0, sizeof(*p));
	p->now = 1000000;
	for (i = 0; i < 2; i++) {
		struct end *e = &p->e[i];
		struct ike_peer_conf conf = plan->peer[i];
		const struct ike_env env = {
			.self = e,
			.now_ms = env_now,
			.random = env_random,
			.send = env_send,
			.alloc_spi = env_alloc_spi,
			.free_spi = env_free_spi,
			.child_install = env_child_install,
			.child_remove = env_child_remove,
			.child_moved = env_child_moved,
			.event = env_event,
		};

		e->pair = p;
		e->random = (seed + 1) * 0x9e3779b97f4a7c15u + i * 0x123456789u;
		e->next_spi = i ? 0xb0000000 : 0xa0000000;
		addr_parse(addrs[i], &e->addr);
		addr_parse(i ? "203.0.113.2" : "203.0.113.1", &e->outside);
		e->nat_shift = 20000;
		assert_int_equal(ike_new(&env, &plan->limits[i], &e->ike), 0);
		conf.children = plan->child[i];
		if (ike_peer_add(e->ike, &conf, detail))
			fail_msg("%s", detail);
	}
}

void pair_stop(struct pair *p)
{
	ike_free(p->e[0].ike);
	ike_free(p->e[1].ike);
}

/* ---- the wire ------------------------------------------------------------------------------ */

static struct end *route(struct pair *p, struct endpoint *to)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct end *e = &p->e[i];

		if (!e->natted && addr_eq(&to->addr, &e->addr))
			return e;
		if (e->natted && addr_eq(&to->addr, &e->outside)) {
			/* A forwarded port, or the mapping that a packet from inside made. */
			if (to->port != 500 && to->port != 4500)
				to->port -= e->nat_shift;
			to->addr = e->addr;
			return e;
		}
	}
	return NULL;
}

static void hand_in(struct pair *p, struct datagram *d)
{
	struct end *e = route(p, &d->to);

	if (!e)
		return;
	if (d->len == 1 && d->octets[0] == 0xff) {
		e->keepalives++;
		return;
	}
	if (d->to.port == 4500) {
		if (d->len < 4 || memcmp(d->octets, "\0\0\0\0", 4))
			return;
		ike_receive(e->ike, &d->to, &d->from, d->octets + 4, d->len - 4);
	} else {
		ike_receive(e->ike, &d->to, &d->from, d->octets, d->len);
	}
}

bool pair_deliver(struct pair *p, unsigned i)
{
	struct datagram d, again;
	enum fate fate;

	assert_true(i < p->n_wire);
	d = p->wire[i];
	memmove(&p->wire[i], &p->wire[i + 1], (--p->n_wire - i) * sizeof(d));
	fate = p->fate ? p->fate(p, &d) : PASS;
	p->count++;
	if (fate == LOSE)
		return false;
	again = d;
	hand_in(p, &d);
	if (fate == TWICE)
		hand_in(p, &again);
	return true;
}

void pair_run(struct pair *p)
{
	unsigned most = 2000;

	while (p->n_wire) {
		if (!most--)
			fail_msg("the two ends do not stop talking");
		pair_deliver(p, 0);
	}
}

void pair_pass_time(struct pair *p, uint64_t ms)
{
	uint64_t until = p->now + ms;
	unsigned most = 5000;

	pair_run(p);
	for (;;) {
		uint64_t a = ike_next_ms(p->e[0].ike), b = ike_next_ms(p->e[1].ike), t = a < b ? a : b;

		if (t > until)
			break;
		if (!most--)
			fail_msg("timers do not come to rest");
		if (t > p->now)
			p->now = t;
		ike_tick(p->e[0].ike);
		ike_tick(p->e[1].ike);
		pair_run(p);
	}
	p->now = until;
	ike_tick(p->e[0].ike);
	ike_tick(p->e[1].ike);
	pair_run(p);
}

/* ---- looking ------------------------------------------------------------------------------- */

struct counter {
	enum ike_state state;
	unsigned n;
};

static void count_sa(void *self, const struct ike_sa_view *sa)
{
	struct counter *c = self;

	c->n += sa->state == c->state;
}

unsigned count_sas(struct end *e, enum ike_state state)
{
	struct counter c = {state, 0};

	ike_each_sa(e->ike, count_sa, &c);
	return c.n;
}

unsigned count_kids(struct end *e)
{
	unsigned i, n = 0;

	for (i = 0; i < e->n_kids; i++)
		n += e->kids[i].in && e->kids[i].out;
	return n;
}

struct kid *carrying(struct end *e, uint32_t rule)
{
	struct kid *best = NULL;
	unsigned i;

	for (i = 0; i < e->n_kids; i++)
		if (e->kids[i].sa.rule == rule && e->kids[i].out &&
		    (!best || e->kids[i].out_seq > best->out_seq))
			best = &e->kids[i];
	return best;
}

static void assert_mirror(const struct child_sa *a, const struct child_sa *b)
{
	assert_int_equal(a->spi_out, b->spi_in);
	assert_int_equal(a->spi_in, b->spi_out);
	assert_memory_equal(&a->in, &b->out, sizeof(a->in));
	assert_memory_equal(&a->out, &b->in, sizeof(a->in));
	assert_true(memcmp(&a->in, &a->out, sizeof(a->in)) != 0);
	assert_int_equal(a->encr_id, b->encr_id);
	assert_int_equal(a->encr_bits, b->encr_bits);
	assert_int_equal(a->integ_id, b->integ_id);
	assert_int_equal(a->esn, b->esn);
	assert_int_equal(a->udp_encap, b->udp_encap);
	assert_int_equal(a->n_local, b->n_remote);
	assert_int_equal(a->n_remote, b->n_local);
	assert_memory_equal(a->local_ts, b->remote_ts, a->n_local * sizeof(a->local_ts[0]));
	assert_memory_equal(a->remote_ts, b->local_ts, a->n_remote * sizeof(a->remote_ts[0]));
	assert_true(a->in.enc_len > 0);
	assert_int_not_equal(a->initiator, b->initiator);
}

void assert_children(struct pair *p, unsigned n)
{
	unsigned i;

	assert_int_equal(p->overflow, 0);
	assert_int_equal(count_kids(&p->e[0]), n);
	assert_int_equal(count_kids(&p->e[1]), n);
	assert_int_equal(p->e[0].n_kids, n);
	assert_int_equal(p->e[1].n_kids, n);
	assert_int_equal(p->e[0].spis_out, 0);
	assert_int_equal(p->e[1].spis_out, 0);
	for (i = 0; i < n; i++) {
		struct kid *other = kid_of(&p->e[1], p->e[0].kids[i].sa.spi_out);

		assert_non_null(other);
		assert_mirror(&p->e[0].kids[i].sa, &other->sa);
	}
}

void assert_one_sa(struct pair *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(count_sas(&p->e[i], IKE_UP), 1);
		assert_int_equal(count_sas(&p->e[i], IKE_CONNECTING), 0);
		assert_int_equal(count_sas(&p->e[i], IKE_HALF_OPEN), 0);
	}
}
