// SPDX-License-Identifier: BSD-2-Clause
#include "datapath.h"

#include <adit/reasons.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/* One Child SA in the datapath.  An index stays taken until the worker was told to forget it. */
struct slot {
	uint32_t spi_in; /* 0: free */
	uint32_t spi_out;
	uint32_t rule;
	uint32_t index_in, index_out; /* 0: not installed */
	struct adit_sa_out out;	      /* as in the map while this child carries its rule */
	enum adit_suite suite;
	uint64_t last_ns; /* of the inbound SA when datapath_each_used looked last */
};

struct datapath {
	struct datapath_fds fds;
	const struct conf *conf;
	struct adit_sa_state state;
	struct slot slots[ADIT_SAS_MAX / 2];
	bool index_used[ADIT_SAS_MAX];
	uint32_t next_index;
	uint32_t spis[ADIT_SAS_MAX]; /* handed out and not given back */
	const struct adit_sa_stats *stats;
	const uint64_t *reasons_worker;
	uint64_t *reasons_ike;
	int cpus;
};

static const struct suite_row {
	const char *name;
	uint16_t encr_id, encr_bits, integ_id;
	uint8_t key, salt, integrity_key, iv, icv, align;
} suites[] = {
#define X(e, name, encr, bits, integ, key, salt, ikey, iv, icv, align) \
	[ADIT_SUITE_##e] = {name, encr, bits, integ, key, salt, ikey, iv, icv, align},
	ADIT_SUITES(X)
#undef X
};

const char *datapath_suite_name(enum adit_suite suite)
{
	return suite > ADIT_SUITE_NONE && suite < ADIT_SUITE_COUNT ? suites[suite].name : "?";
}

static enum adit_suite find_suite(const struct child_sa *c)
{
	enum adit_suite s;

	for (s = 1; s < ADIT_SUITE_COUNT; s++)
		if (suites[s].encr_id == c->encr_id && suites[s].encr_bits == c->encr_bits &&
		    suites[s].integ_id == c->integ_id)
			return s;
	return ADIT_SUITE_NONE;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int tell_worker(struct datapath *dp, const void *msg, size_t len)
{
	/* The socket holds thousands of commands; a worker that lets it fill up does not run. */
	if (send(dp->fds.worker, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return 0;
	return errno ? -errno : -EIO;
}

static int tell_worker_id(struct datapath *dp, enum adit_msg_type type, uint32_t id)
{
	struct adit_msg_id msg = {.type = type, .id = id};

	return tell_worker(dp, &msg, sizeof(msg));
}

/* key: room for one key of the map. */
static void empty_map(int fd, void *key)
{
	while (bpf_map_get_next_key(fd, NULL, key) == 0 && bpf_map_delete_elem(fd, key) == 0)
		;
}

static void forget_all(struct datapath *dp)
{
	struct adit_own_esp_key own;
	uint32_t key;

	empty_map(dp->fds.sa_out, &key);
	empty_map(dp->fds.sa_in, &key);
	empty_map(dp->fds.own_esp, &own);
	memset(dp->slots, 0, sizeof(dp->slots));
	memset(dp->index_used, 0, sizeof(dp->index_used));
	tell_worker_id(dp, ADIT_MSG_FLUSH, 0);
}

static void *map_array(int fd, size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* What flow caches learned of SAs before is void. */
static void sas_changed(struct datapath *dp)
{
	uint32_t zero = 0;

	dp->state.generation++;
	if (bpf_map_update_elem(dp->fds.sa_state, &zero, &dp->state, BPF_ANY))
		log_error("sa_state cannot be written: %s", strerror(errno));
}

int datapath_new(const struct datapath_fds *fds, const struct conf *conf, struct datapath **ret)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	uint32_t zero = 0;
	int err;

	if (!dp)
		return -ENOMEM;
	dp->fds = *fds;
	dp->conf = conf;
	dp->next_index = 1;
	dp->cpus = libbpf_num_possible_cpus();
	dp->stats = map_array(fds->sa_stats, ADIT_SAS_MAX * sizeof(*dp->stats), PROT_READ);
	dp->reasons_worker = map_array(fds->reasons_worker, ADIT_REASON_COUNT * sizeof(uint64_t), PROT_READ);
	dp->reasons_ike =
		map_array(fds->reasons_ike, IKE_REASON_COUNT * sizeof(uint64_t), PROT_READ | PROT_WRITE);
	if (!dp->stats || !dp->reasons_worker || !dp->reasons_ike || dp->cpus < 1 ||
	    bpf_map_lookup_elem(fds->sa_state, &zero, &dp->state)) {
		err = errno ? -errno : -EIO;
		datapath_free(dp);
		return err;
	}
	forget_all(dp);
	sas_changed(dp); /* a flow that never paused remembers an SA of an earlier ike */
	*ret = dp;
	return 0;
}

void datapath_free(struct datapath *dp)
{
	if (!dp)
		return;
	if (dp->stats)
		munmap((void *)dp->stats, ADIT_SAS_MAX * sizeof(*dp->stats));
	if (dp->reasons_worker)
		munmap((void *)dp->reasons_worker, ADIT_REASON_COUNT * sizeof(uint64_t));
	if (dp->reasons_ike)
		munmap(dp->reasons_ike, IKE_REASON_COUNT * sizeof(uint64_t));
	free(dp);
}

/* ---- SAs ----------------------------------------------------------------------------------- */

uint32_t datapath_alloc_spi(struct datapath *dp)
{
	unsigned i, free_at = ADIT_SAS_MAX, tries;
	uint32_t spi;

	for (tries = 0; tries < 16; tries++) {
		bool taken = false;

		/* 1..255 are reserved by IANA, 0 never goes out (RFC 4303 2.1). */
		if (getrandom(&spi, sizeof(spi), 0) != sizeof(spi) || spi < 256)
			continue;
		for (i = 0; i < ADIT_SAS_MAX; i++) {
			taken |= dp->spis[i] == spi;
			if (!dp->spis[i])
				free_at = i;
		}
		if (free_at == ADIT_SAS_MAX)
			return 0;
		if (!taken) {
			dp->spis[free_at] = spi;
			return spi;
		}
	}
	return 0;
}

void datapath_free_spi(struct datapath *dp, uint32_t spi)
{
	unsigned i;

	for (i = 0; spi && i < ADIT_SAS_MAX; i++)
		if (dp->spis[i] == spi)
			dp->spis[i] = 0;
}

static uint32_t alloc_index(struct datapath *dp)
{
	unsigned i;

	/* Round robin, so that an index rests as long as possible before it names another SA. */
	for (i = 0; i < ADIT_SAS_MAX; i++) {
		uint32_t index = dp->next_index;

		dp->next_index = index + 1 < ADIT_SAS_MAX ? index + 1 : 1;
		if (!dp->index_used[index]) {
			dp->index_used[index] = true;
			return index;
		}
	}
	return 0;
}

static struct slot *find_slot(const struct datapath *dp, uint32_t spi_in)
{
	unsigned i;

	for (i = 0; spi_in && i < ADIT_SAS_MAX / 2; i++)
		if (dp->slots[i].spi_in == spi_in)
			return (struct slot *)&dp->slots[i];
	return NULL;
}

static struct slot *take_slot(struct datapath *dp, const struct child_sa *c)
{
	struct slot *s = find_slot(dp, c->spi_in);
	unsigned i;

	for (i = 0; !s && i < ADIT_SAS_MAX / 2; i++)
		if (!dp->slots[i].spi_in)
			s = &dp->slots[i];
	if (s && !s->spi_in)
		*s = (struct slot){
			.spi_in = c->spi_in, .spi_out = c->spi_out, .rule = c->rule, .suite = find_suite(c)};
	return s;
}

static void to_map_addr(const struct addr *a, struct adit_addr *ret)
{
	memcpy(ret->octets, a->b, sizeof(ret->octets));
}

static unsigned to_selectors(const struct ike_ts *ts, unsigned n, struct adit_selector *ret, unsigned max)
{
	unsigned i;

	for (i = 0; i < n && i < max; i++) {
		to_map_addr(&ts[i].addrs.min, &ret[i].min);
		to_map_addr(&ts[i].addrs.max, &ret[i].max);
		ret[i].port_min = ts[i].port_min;
		ret[i].port_max = ts[i].port_max;
		ret[i].protocol = ts[i].proto;
		ret[i].family = range_is_v4(&ts[i].addrs) ? 4 : 6;
	}
	return i;
}

/* The policy interface that a rule stands on: of several that share a policy, the first. */
static const struct conf_interface *interface_of_rule(const struct datapath *dp, uint32_t rule)
{
	size_t i, r;

	for (r = 0; r < dp->conf->n_rules; r++)
		if (dp->conf->rules[r].id == rule)
			break;
	for (i = 0; r < dp->conf->n_rules && i < dp->conf->n_interfaces; i++)
		if (dp->conf->interfaces[i]->policy == dp->conf->rules[r].policy)
			return dp->conf->interfaces[i];
	return NULL;
}

/* Largest inner packet whose outer packet is no longer than mtu: RFC 4303 2.4 padding included. */
static unsigned inner_mtu(const struct suite_row *suite, const struct child_sa *c, unsigned mtu)
{
	unsigned outer =
		(addr_is_v4(&c->remote.addr) ? 20 : 40) + (c->udp_encap ? 8 : 0) + 8 + suite->iv + suite->icv;

	return mtu > outer + 2 ? ((mtu - outer) & ~(suite->align - 1u)) - 2 : 0;
}

static void set_sizes(const struct datapath *dp, const struct child_sa *c, struct slot *s)
{
	const struct conf_interface *iface = interface_of_rule(dp, c->rule);
	struct adit_port port = {.mtu = 1500};
	unsigned mtu;
	int mss = CONF_MSS_AUTO;
	uint32_t ifindex;

	s->out.df = ADIT_DF_COPY;
	if (iface) {
		ifindex = if_nametoindex(iface->name);
		bpf_map_lookup_elem(dp->fds.ports, &ifindex, &port);
		mss = iface->tcp_mss;
		s->out.df = iface->df_bit == CONF_DF_SET     ? ADIT_DF_SET
			    : iface->df_bit == CONF_DF_CLEAR ? ADIT_DF_CLEAR
							     : ADIT_DF_COPY;
	}
	mtu = inner_mtu(&suites[s->suite], c, port.mtu);
	s->out.inner_mtu = (uint16_t)mtu;
	/* A configured value wins; auto is what fits behind an IP and a TCP header without options. */
	s->out.mss4 = mss >= 0 ? (uint16_t)mss : (uint16_t)(mtu - 40);
	s->out.mss6 = mss >= 0 ? (uint16_t)mss : (uint16_t)(mtu - 60);
}

static int add_to_worker(struct datapath *dp, const struct child_sa *c, const struct slot *s, uint32_t index,
			 enum adit_direction dir)
{
	const struct suite_row *row = &suites[s->suite];
	const struct ike_child_keys *k = dir == ADIT_IN ? &c->in : &c->out;
	struct adit_msg_sa_add m = {
		.type = ADIT_MSG_SA_ADD,
		.index = index,
		.spi = dir == ADIT_IN ? c->spi_in : c->spi_out,
		.rule = c->rule,
		.direction = dir,
		.suite = s->suite,
		.esn = c->esn,
		.replay_window = c->replay_window,
		.mss4 = s->out.mss4,
		.mss6 = s->out.mss6,
		.inner_mtu = s->out.inner_mtu,
		.remote_port = c->udp_encap ? c->remote.port : 0,
		/* Without ESN the numbers end at 2^32: ask for a successor in good time. */
		.soft_packets = c->esn ? 0 : 0xf0000000u,
	};
	int err;

	if (k->enc_len != row->key + row->salt || k->integ_len != row->integrity_key)
		return -EINVAL;
	to_map_addr(&c->remote.addr, &m.remote);
	m.locals = to_selectors(c->local_ts, c->n_local, m.local_ts, ADIT_WORKER_TS_MAX);
	m.remotes = to_selectors(c->remote_ts, c->n_remote, m.remote_ts, ADIT_WORKER_TS_MAX);
	memcpy(m.key, k->enc, row->key);
	memcpy(m.salt, k->enc + row->key, row->salt);
	memcpy(m.integrity_key, k->integ, row->integrity_key);
	err = tell_worker(dp, &m, sizeof(m));
	OPENSSL_cleanse(&m, sizeof(m));
	return err;
}

static int write_sa_in(struct datapath *dp, const struct child_sa *c, const struct slot *s)
{
	struct adit_sa_in in = {.index = s->index_in, .rule = c->rule, .udp_encap = c->udp_encap};

	to_map_addr(&c->local.addr, &in.local);
	to_map_addr(&c->remote.addr, &in.remote);
	snprintf(in.peer, sizeof(in.peer), "%.31s", c->peer);
	return bpf_map_update_elem(dp->fds.sa_in, &c->spi_in, &in, BPF_ANY) ? -errno : 0;
}

static bool same_ends(const struct adit_sa_out *a, const struct adit_sa_out *b)
{
	return !memcmp(&a->local, &b->local, sizeof(a->local)) &&
	       !memcmp(&a->remote, &b->remote, sizeof(a->remote));
}

static bool ends_in_use(const struct datapath *dp, const struct slot *but)
{
	unsigned i;

	for (i = 0; i < ADIT_SAS_MAX / 2; i++)
		if (&dp->slots[i] != but && dp->slots[i].index_out && same_ends(&dp->slots[i].out, &but->out))
			return true;
	return false;
}

static int write_own_esp(struct datapath *dp, const struct adit_sa_out *o)
{
	struct adit_own_esp_key key = {.local = o->local, .remote = o->remote, .spi = o->spi};
	struct adit_own_esp own = {.remote_port = o->udp_encap ? o->remote_port : 0};

	memcpy(own.peer, o->peer, sizeof(own.peer));
	if (bpf_map_update_elem(dp->fds.own_esp, &key, &own, BPF_ANY))
		return -errno;
	key.spi = 0;
	return bpf_map_update_elem(dp->fds.own_esp, &key, &own, BPF_ANY) ? -errno : 0;
}

/* Of what s had in the map. */
static void delete_own_esp(struct datapath *dp, const struct slot *s)
{
	struct adit_own_esp_key key = {.local = s->out.local, .remote = s->out.remote, .spi = s->out.spi};

	bpf_map_delete_elem(dp->fds.own_esp, &key);
	key.spi = 0;
	if (!ends_in_use(dp, s))
		bpf_map_delete_elem(dp->fds.own_esp, &key);
}

static int write_sa_out(struct datapath *dp, const struct child_sa *c, struct slot *s)
{
	const struct suite_row *row = &suites[s->suite];
	struct adit_sa_out *o = &s->out, was = s->out;
	int err;

	o->index = s->index_out;
	o->spi = c->spi_out;
	o->udp_encap = c->udp_encap;
	o->iv_len = row->iv;
	o->icv_len = row->icv;
	o->align = row->align;
	o->local_port = c->local.port;
	o->remote_port = c->remote.port;
	to_map_addr(&c->local.addr, &o->local);
	to_map_addr(&c->remote.addr, &o->remote);
	/* Selectors beyond what the map holds are not offered to packets: they are dropped, never sent
	 * outside. */
	o->locals = to_selectors(c->local_ts, c->n_local, o->local_ts, ADIT_TS_MAX);
	o->remotes = to_selectors(c->remote_ts, c->n_remote, o->remote_ts, ADIT_TS_MAX);
	snprintf(o->peer, sizeof(o->peer), "%.31s", c->peer);
	snprintf(o->rule, sizeof(o->rule), "%.31s", c->name);
	err = write_own_esp(dp, o);
	if (!err && bpf_map_update_elem(dp->fds.sa_out, &c->rule, o, BPF_ANY))
		err = -errno;
	if (err)
		return err;
	if (was.spi && !same_ends(&was, o)) /* the peer moved */
		delete_own_esp(dp, &(struct slot){.out = was});
	sas_changed(dp);
	return 0;
}

static void free_index(struct datapath *dp, uint32_t *index)
{
	if (!*index)
		return;
	tell_worker_id(dp, ADIT_MSG_SA_DEL, *index);
	dp->index_used[*index] = false;
	*index = 0;
}

/* On failure nothing of it is left. */
static int install_in(struct datapath *dp, const struct child_sa *c, struct slot *s)
{
	int err;

	s->index_in = alloc_index(dp);
	if (!s->index_in)
		return -ENOSPC;
	s->last_ns = dp->stats[s->index_in].last_ns; /* of the SA that had this index before */
	err = add_to_worker(dp, c, s, s->index_in, ADIT_IN);
	if (!err)
		err = write_sa_in(dp, c, s);
	if (err)
		free_index(dp, &s->index_in);
	return err;
}

static int install_out(struct datapath *dp, const struct child_sa *c, struct slot *s)
{
	int err = 0;

	/* The engine names the same child again when its successor went away.  The worker still has that SA
	 * with its sequence number: adding it anew would start at 1 and repeat nonces under the same key. */
	if (!s->index_out) {
		s->index_out = alloc_index(dp);
		if (!s->index_out)
			return -ENOSPC;
		err = add_to_worker(dp, c, s, s->index_out, ADIT_OUT);
		if (err)
			free_index(dp, &s->index_out);
	}
	if (!err)
		err = write_sa_out(dp, c, s);
	if (!err)
		tell_worker_id(dp, ADIT_MSG_RELEASE, c->rule);
	return err;
}

int datapath_install(struct datapath *dp, const struct child_sa *c, enum ike_direction dir)
{
	struct slot *s = take_slot(dp, c);
	int err;

	if (!s)
		return -ENOSPC;
	if (s->suite == ADIT_SUITE_NONE)
		return -EPROTONOSUPPORT;
	set_sizes(dp, c, s);
	err = dir == IKE_IN ? install_in(dp, c, s) : install_out(dp, c, s);
	if (err && !s->index_in && !s->index_out)
		memset(s, 0, sizeof(*s));
	if (err)
		log_error("%s: %s SA not installed: %s", c->name, dir == IKE_IN ? "inbound" : "outbound",
			  strerror(-err));
	return err;
}

void datapath_remove(struct datapath *dp, const struct child_sa *c)
{
	struct slot *s = find_slot(dp, c->spi_in);
	struct adit_sa_out now;

	datapath_free_spi(dp, c->spi_in);
	if (!s)
		return;
	bpf_map_delete_elem(dp->fds.sa_in, &c->spi_in);
	if (s->index_out) {
		if (bpf_map_lookup_elem(dp->fds.sa_out, &s->rule, &now) == 0 && now.index == s->index_out)
			bpf_map_delete_elem(dp->fds.sa_out, &s->rule);
		delete_own_esp(dp, s);
		sas_changed(dp);
	}
	free_index(dp, &s->index_in);
	free_index(dp, &s->index_out);
	memset(s, 0, sizeof(*s));
}

void datapath_moved(struct datapath *dp, const struct child_sa *c)
{
	struct slot *s = find_slot(dp, c->spi_in);
	struct adit_sa_out now;

	if (!s)
		return;
	write_sa_in(dp, c, s);
	if (s->index_out && bpf_map_lookup_elem(dp->fds.sa_out, &s->rule, &now) == 0 &&
	    now.index == s->index_out)
		write_sa_out(dp, c, s);
}

bool datapath_release(struct datapath *dp, uint32_t rule)
{
	struct adit_sa_out now;

	return bpf_map_lookup_elem(dp->fds.sa_out, &rule, &now) == 0 &&
	       tell_worker_id(dp, ADIT_MSG_RELEASE, rule) == 0;
}

void datapath_discard(struct datapath *dp, uint32_t rule)
{
	tell_worker_id(dp, ADIT_MSG_DISCARD, rule);
}

void datapath_worker_lost(struct datapath *dp)
{
	forget_all(dp);
	sas_changed(dp);
}

/* ---- looking at it ------------------------------------------------------------------------- */

uint32_t datapath_spi_of_index(const struct datapath *dp, uint32_t index)
{
	unsigned i;

	for (i = 0; index && i < ADIT_SAS_MAX / 2; i++)
		if (dp->slots[i].index_in == index || dp->slots[i].index_out == index)
			return dp->slots[i].spi_in;
	return 0;
}

void datapath_each_used(struct datapath *dp, void (*used)(void *self, uint32_t spi_in), void *self)
{
	unsigned i;

	for (i = 0; i < ADIT_SAS_MAX / 2; i++) {
		struct slot *s = &dp->slots[i];
		uint64_t last = s->index_in ? dp->stats[s->index_in].last_ns : 0;

		if (last == s->last_ns)
			continue;
		s->last_ns = last;
		if (last)
			used(self, s->spi_in);
	}
}

bool datapath_find(const struct datapath *dp, uint32_t spi_in, struct datapath_child *ret)
{
	const struct slot *s = find_slot(dp, spi_in);

	if (!s)
		return false;
	*ret = (struct datapath_child){
		.index_in = s->index_in,
		.index_out = s->index_out,
		.suite = s->suite,
		.inner_mtu = s->out.inner_mtu,
		.mss4 = s->out.mss4,
		.in = s->index_in ? &dp->stats[s->index_in] : NULL,
		.out = s->index_out ? &dp->stats[s->index_out] : NULL,
	};
	return true;
}

bool datapath_hits(const struct datapath *dp, uint32_t rule, struct adit_hits *ret)
{
	struct adit_hits *each = calloc((size_t)dp->cpus, sizeof(*each));
	bool found;
	int i;

	if (!each)
		return false;
	found = bpf_map_lookup_elem(dp->fds.rule_hits, &rule, each) == 0;
	*ret = (struct adit_hits){0};
	for (i = 0; found && i < dp->cpus; i++) {
		ret->packets += each[i].packets;
		ret->octets += each[i].octets;
	}
	free(each);
	return found;
}

uint64_t datapath_reason_bpf(const struct datapath *dp, enum adit_reason reason)
{
	uint64_t *each = calloc((size_t)dp->cpus, sizeof(*each)), sum = 0;
	uint32_t key = reason;
	int i;

	if (each && bpf_map_lookup_elem(dp->fds.reasons_bpf, &key, each) == 0)
		for (i = 0; i < dp->cpus; i++)
			sum += each[i];
	free(each);
	return sum;
}

uint64_t datapath_reason_worker(const struct datapath *dp, enum adit_reason reason)
{
	return dp->reasons_worker[reason];
}

void datapath_publish_counters(struct datapath *dp, const uint64_t *counters, unsigned n)
{
	memcpy(dp->reasons_ike, counters, n * sizeof(*counters));
}
