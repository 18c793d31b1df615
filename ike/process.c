// SPDX-License-Identifier: BSD-2-Clause
#include "process.h"

#include <adit/reasons.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "confine.h"
#include "control.h"
#include "door.h"
#include "gateway.h"
#include "log.h"

#define NON_ESP_MARKER 4    /* octets, RFC 3948 2.2 */
#define BURST	       64   /* datagrams read before other events get a turn */
#define TICK_MAX_MS    1000 /* counters are published at least this often */

/* What ike may still ask of the kernel once it runs. */
static const struct confine_call calls[] = {
	{.name = "recvmsg"	  }, /* IKE; ESP that comes to a socket */
	{.name = "sendmsg"	  },
	{.name = "recvfrom"	   }, /* messages of worker and parent */
	{.name = "sendto"	 },
	{.name = "read"	       }, /* control socket, through libevent */
	{.name = "readv"	},
	{.name = "write"	}, /* ... and the log */
	{.name = "writev"	 },
	{.name = "ioctl",	  .arg = 1, .mask = 0xffffffff, .value = 0x541b}, /* FIONREAD, libevent */
	{.name = "accept4"	  },
	{.name = "close"			},
	{.name = "fcntl"			},
	{.name = "getsockopt"}, /* SO_PEERCRED */
	{.name = "socket"	 }, /* which local address a route gives, and the index of an interface */
	{.name = "connect"			  },
	{.name = "getsockname"		      },
	{.name = "ioctl", .arg = 1, .mask = 0xffffffff, .value = 0x8933}, /* SIOCGIFINDEX */
	{.name = "epoll_wait"    },
	{.name = "epoll_pwait"	      },
	{.name = "epoll_pwait2"       },
	{.name = "epoll_ctl"   },
	{.name = "poll"  },
	{.name = "ppoll" },
 /* maps, by descriptors it was given: look up, update, delete, next key are commands 1 to 4 */
	{.name = "bpf",	.arg = 0, .mask = ~0ull, .value = 1},
	{.name = "bpf",		.arg = 0, .mask = ~0ull, .value = 2},
	{.name = "bpf",		.arg = 0, .mask = ~0ull, .value = 3},
	{.name = "bpf",		.arg = 0, .mask = ~0ull, .value = 4},
	{.name = "getrandom"	    },
	{.name = "clock_gettime"			},
	{.name = "gettimeofday"     },
	{.name = "brk"	      }, /* memory */
	{.name = "mmap",		 .arg = 2, .mask = PROT_EXEC, .value = 0},
	{.name = "munmap"	 },
	{.name = "mremap"			 },
	{.name = "madvise"	  },
	{.name = "futex"		},
	{.name = "getpid"	 },
	{.name = "exit_group"},
	{.name = "exit" },
	{.name = "rt_sigreturn"	       },
	{.name = "rt_sigprocmask"	 },
	{.name = "restart_syscall"	  },
};

/* ---- what the engine asks of us ------------------------------------------------------------ */

static uint64_t env_now_ms(void *self)
{
	(void)self;
	return clock_ms();
}

static int env_random(void *self, void *buf, size_t len)
{
	(void)self;
	while (len) {
		ssize_t n = getrandom(buf, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

static int socket_for(const struct gateway *g, const struct endpoint *local)
{
	return g->setup->sockets[(addr_is_v4(&local->addr) ? 0 : 2) + (local->port == 500 ? 0 : 1)];
}

static void env_send(void *self, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *octets, size_t len)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = {0};
	struct gateway *g = self;
	struct sockaddr_storage to;
	struct iovec iov = {(void *)octets, len};
	struct msghdr msg = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room};
	struct cmsghdr *c = &control.align;
	const uint8_t *src;
	char text[ADDR_STRLEN];
	int fd = socket_for(g, local);

	msg.msg_namelen = endpoint_to_sockaddr(remote, &to);
	/* From the address that the peer knows us by, whatever the route would pick. */
	if (addr_octets(&local->addr, &src) == 4) {
		struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(c);

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(*info));
		memcpy(&info->ipi_spec_dst, src, 4);
		msg.msg_controllen = CMSG_SPACE(sizeof(*info));
	} else {
		struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(c);

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(*info));
		memcpy(&info->ipi6_addr, src, 16);
		msg.msg_controllen = CMSG_SPACE(sizeof(*info));
	}
	if (addr_is_unspecified(&local->addr))
		msg.msg_control = NULL, msg.msg_controllen = 0;
	/* A datagram that cannot leave is a lost one: the engine sends it again. */
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("send to %s: %s", endpoint_str(remote, text), strerror(errno));
}

static uint32_t env_alloc_spi(void *self)
{
	return datapath_alloc_spi(((struct gateway *)self)->dp);
}

static void env_free_spi(void *self, uint32_t spi)
{
	datapath_free_spi(((struct gateway *)self)->dp, spi);
}

static int env_child_install(void *self, const struct child_sa *child, enum ike_direction dir)
{
	return datapath_install(((struct gateway *)self)->dp, child, dir);
}

static void env_child_remove(void *self, const struct child_sa *child, enum ike_reason why)
{
	(void)why;
	datapath_remove(((struct gateway *)self)->dp, child);
}

static void env_child_moved(void *self, const struct child_sa *child)
{
	datapath_moved(((struct gateway *)self)->dp, child);
}

static void env_event(void *self, const struct ike_event *event)
{
	journal_event(self, event);
}

/* ---- timer --------------------------------------------------------------------------------- */

void gateway_rearm(struct gateway *g)
{
	uint64_t now = clock_ms(), next = ike_next_ms(g->ike), wait = TICK_MAX_MS;
	struct timeval tv;

	if (next <= now)
		wait = 0;
	else if (next - now < wait)
		wait = next - now;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000 * 1000);
	evtimer_add(g->timer, &tv);
}

/* Authentic ESP is a sign of life, and proof that the peer uses a new SA (RFC 7296 2.4, 2.8). */
static void used(void *self, uint32_t spi_in)
{
	ike_child_used(((struct gateway *)self)->ike, spi_in);
}

static void on_timer(evutil_socket_t fd, short what, void *self)
{
	struct gateway *g = self;

	(void)fd, (void)what;
	datapath_each_used(g->dp, used, g);
	ike_tick(g->ike);
	datapath_publish_counters(g->dp, ike_counters(g->ike), IKE_REASON_COUNT);
	gateway_rearm(g);
}

/* ---- sockets ------------------------------------------------------------------------------- */

static void unknown_spi(struct gateway *g, const struct endpoint *from, uint32_t spi)
{
	uint64_t now = clock_ms();
	char text[ADDR_STRLEN];

	g->unknown_spi.count++;
	g->unknown_spi.last_ms = now;
	if (g->unknown_spi.logged_ms && now - g->unknown_spi.logged_ms < 10000)
		return;
	g->unknown_spi.logged_ms = now;
	log_warn("ESP with SPI 0x%08x from %s: no such SA here (%lu so far)", spi, endpoint_str(from, text),
		 (unsigned long)g->unknown_spi.count);
}

static void receive_esp(struct gateway *g, const struct arrival *a, const uint8_t *esp, size_t len)
{
	enum ike_reason why = door_take(&g->setup->fds, a, esp, len);

	ike_count(g->ike, why);
	if (why == IKE_WHY_ESP_UNKNOWN)
		unknown_spi(g, &a->remote, door_spi(esp));
}

/* A datagram longer than IKE_MESSAGE_MAX comes cut.  That is no message; as ESP it is still too long for the worker,
 * which counts it. */
static void receive(struct gateway *g, const struct arrival *a, const uint8_t *octets, size_t len, bool cut)
{
	static const uint8_t marker[NON_ESP_MARKER];

	if (a->local.port != 4500) {
		if (!cut)
			ike_receive(g->ike, &a->local, &a->remote, octets, len);
		return;
	}
	/* BPF drops keepalives and takes ESP away; what still comes was in fragments, or BPF could not. */
	if (len <= NON_ESP_MARKER)
		return;
	if (memcmp(octets, marker, NON_ESP_MARKER) != 0)
		receive_esp(g, a, octets, len);
	else if (!cut)
		ike_receive(g->ike, &a->local, &a->remote, octets + NON_ESP_MARKER, len - NON_ESP_MARKER);
}

/* Of IPv4 a raw socket gives the header too. */
static void receive_raw(struct gateway *g, const struct arrival *a, const uint8_t *octets, size_t len)
{
	size_t header = addr_is_v4(&a->local.addr) && len ? (octets[0] & 15) * 4u : 0;

	if (len >= header)
		receive_esp(g, a, octets + header, len - header);
}

/* port: of the socket; 0 is a raw one. */
static bool read_datagram(struct gateway *g, int fd, uint16_t port)
{
	static uint8_t octets[IKE_MESSAGE_MAX];
	union {
		char room[256];
		struct cmsghdr align;
	} control;
	struct sockaddr_storage from;
	struct iovec iov = {octets, sizeof(octets)};
	struct msghdr msg = {.msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	struct arrival a = {.local.port = port};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return errno != EAGAIN && errno != EWOULDBLOCK; /* an ICMP error: read on */
	if (!arrival_read(&msg, &a))
		return true;
	if (port)
		receive(g, &a, octets, (size_t)n, msg.msg_flags & MSG_TRUNC);
	else
		receive_raw(g, &a, octets, (size_t)n);
	return true;
}

static uint16_t port_of(const struct gateway *g, int fd)
{
	const int *s = g->setup->sockets;

	if (fd == g->setup->esp_sockets[0] || fd == g->setup->esp_sockets[1])
		return 0;
	return fd == s[0] || fd == s[2] ? 500 : 4500;
}

static void on_datagram(evutil_socket_t fd, short what, void *self)
{
	struct gateway *g = self;
	uint16_t port = port_of(g, fd);
	int i;

	(void)what;
	for (i = 0; i < BURST && read_datagram(g, fd, port); i++)
		;
	gateway_rearm(g);
}

/* ---- the datapath's events -------------------------------------------------------------------------------
 */

static const struct conf_rule *rule_of(const struct gateway *g, uint32_t id)
{
	size_t i;

	for (i = 0; i < g->conf->n_rules; i++)
		if (g->conf->rules[i].id == id)
			return &g->conf->rules[i];
	return NULL;
}

static void acquire(struct gateway *g, const struct adit_msg_acquire *m)
{
	const struct conf_rule *rule = rule_of(g, m->rule);
	struct ike_selector packet = {.proto = m->protocol, .sport = m->src_port, .dport = m->dst_port};
	char src[ADDR_STRLEN], dst[ADDR_STRLEN];
	int err;

	if (!rule || !rule->entry) {
		datapath_discard(g->dp, m->rule);
		return;
	}
	/* It was on its way to the worker while the SA came up: the release went past it. */
	if (datapath_release(g->dp, m->rule))
		return;
	packet.src = addr_from_v6(m->src.octets);
	packet.dst = addr_from_v6(m->dst.octets);
	log_debug("%s: packet %s -> %s wants an SA", rule->name, addr_str(&packet.src, src),
		  addr_str(&packet.dst, dst));
	err = ike_initiate(g->ike, m->rule, &packet);
	if (err && err != -ENOKEY) /* that one was said when it began, and stands in status */
		log_warn("%s: packet %s -> %s wants an SA, but peer %s cannot be called: %s", rule->name, src,
			 dst, rule->entry->peer->name,
			 err == -EHOSTUNREACH ? "its address is not known" : strerror(-err));
	if (err)
		datapath_discard(g->dp, m->rule);
}

static void peer_moved(struct gateway *g, const struct adit_msg_peer_moved *m)
{
	struct endpoint remote = {.addr = addr_from_v6(m->remote.octets), .port = m->remote_port};
	uint32_t spi = datapath_spi_of_index(g->dp, m->index);

	if (spi)
		ike_peer_moved(g->ike, spi, &remote);
}

static void lifetime(struct gateway *g, const struct adit_msg_lifetime *m)
{
	uint32_t spi = datapath_spi_of_index(g->dp, m->index);

	if (spi)
		ike_child_expiring(g->ike, spi);
}

static void on_worker(evutil_socket_t fd, short what, void *self)
{
	struct gateway *g = self;
	union adit_msg m;
	ssize_t n;

	(void)what;
	while ((n = recv(fd, &m, sizeof(m), MSG_DONTWAIT)) > 0) {
		if (m.type == ADIT_MSG_ACQUIRE && n == sizeof(m.acquire))
			acquire(g, &m.acquire);
		else if (m.type == ADIT_MSG_PEER_MOVED && n == sizeof(m.peer_moved))
			peer_moved(g, &m.peer_moved);
		else if (m.type == ADIT_MSG_LIFETIME && n == sizeof(m.lifetime))
			lifetime(g, &m.lifetime);
	}
	gateway_rearm(g);
}

/* Whoever asks and is answered may rely on it: from now on nothing leaves in clear. */
static void attached(struct gateway *g)
{
	if (!g->control && control_new(g, g->setup->control_fd, &g->control))
		log_error("the control socket does not work");
}

static void worker_started(struct gateway *g)
{
	log_warn("the worker was restarted: its keys are gone, tunnels are negotiated anew");
	ike_datapath_lost(g->ike);
	datapath_worker_lost(g->dp);
}

static void on_parent(evutil_socket_t fd, short what, void *self)
{
	struct gateway *g = self;
	struct adit_msg_id m;
	ssize_t n;

	(void)what;
	while ((n = recv(fd, &m, sizeof(m), MSG_DONTWAIT)) > 0) {
		if (n != sizeof(m))
			continue;
		if (m.type == ADIT_MSG_ATTACHED)
			attached(g);
		else if (m.type == ADIT_MSG_WORKER_STARTED)
			worker_started(g);
	}
	gateway_rearm(g);
}

static int on_ring_event(void *self, void *data, size_t size)
{
	const struct adit_event *e = data;
	struct endpoint from;

	if (size < sizeof(*e) || e->kind != ADIT_EVENT_UNKNOWN_SPI)
		return 0;
	from.addr = addr_from_v6(e->src.octets);
	from.port = e->src_port;
	unknown_spi(self, &from, e->spi);
	return 0;
}

static void on_ring(evutil_socket_t fd, short what, void *self)
{
	(void)fd, (void)what;
	ring_buffer__consume(self);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void on_stop(evutil_socket_t sig, short what, void *self)
{
	struct gateway *g = self;

	(void)sig, (void)what;
	ike_shutdown(g->ike);
	event_base_loopbreak(g->loop);
}

static int watch(struct gateway *g, int fd, event_callback_fn run, void *self)
{
	struct event *e;

	if (fd < 0)
		return 0;
	e = event_new(g->loop, fd, EV_READ | EV_PERSIST, run, self);
	return e && event_add(e, NULL) == 0 ? 0 : -ENOMEM;
}

static int watch_all(struct gateway *g)
{
	struct ring_buffer *ring = ring_buffer__new(g->setup->fds.events, on_ring_event, g, NULL);
	struct event *stop = evsignal_new(g->loop, SIGTERM, on_stop, g);
	int i, err;

	if (!ring || !stop || event_add(stop, NULL))
		return -ENOMEM;
	err = watch(g, ring_buffer__epoll_fd(ring), on_ring, ring);
	for (i = 0; !err && i < IKE_SOCKETS; i++)
		err = watch(g, g->setup->sockets[i], on_datagram, g);
	for (i = 0; !err && i < ESP_SOCKETS; i++)
		err = watch(g, g->setup->esp_sockets[i], on_datagram, g);
	if (!err)
		err = watch(g, g->setup->fds.worker, on_worker, g);
	if (!err)
		err = watch(g, g->setup->parent_fd, on_parent, g);
	return err;
}

static int say_ready(const struct gateway *g)
{
	struct adit_msg_id m = {.type = ADIT_MSG_READY};

	return send(g->setup->parent_fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) ? 0 : -errno;
}

static int prepare(struct gateway *g)
{
	const struct ike_env env = {
		.self = g,
		.now_ms = env_now_ms,
		.random = env_random,
		.send = env_send,
		.route = peers_route,
		.alloc_spi = env_alloc_spi,
		.free_spi = env_free_spi,
		.child_install = env_child_install,
		.child_remove = env_child_remove,
		.child_moved = env_child_moved,
		.event = env_event,
	};
	int err;

	g->loop = event_base_new();
	g->timer = g->loop ? evtimer_new(g->loop, on_timer, g) : NULL;
	if (!g->timer)
		return -ENOMEM;
	err = datapath_new(&g->setup->fds, g->conf, &g->dp);
	if (err) {
		log_error("the maps cannot be written: %s", strerror(-err));
		return err;
	}
	err = ike_new(&env, NULL, &g->ike);
	if (!err)
		err = peers_add_all(g);
	if (!err)
		err = watch_all(g);
	return err;
}

/* What libraries read from files at first use, they read now. */
static void warm_up(void)
{
	uint8_t some;

	tzset();
	json_object_seed(0);
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_CIPHERS |
				    OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
			    NULL);
	RAND_bytes(&some, sizeof(some));
}

/* Files are opened here for the last time; after this nothing but what was handed over can be reached. */
static int give_up_rights(const struct ike_setup *setup)
{
	struct conf_diag diag;
	int err;

	conf_read_secrets(setup->conf, &diag);
	conf_diag_print(&diag, stderr);
	warm_up();
	err = confine_user(setup->user);
	if (err)
		log_error("cannot become %s: %s (make users creates it)", setup->user, strerror(-err));
	return err;
}

int ike_run(const struct ike_setup *setup)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int err;

	prctl(PR_SET_NAME, "adit-ike");
	if (!g)
		return 1;
	g->setup = setup;
	g->conf = setup->conf;
	g->loaded_unix = time(NULL);
	err = give_up_rights(setup);
	if (!err)
		err = prepare(g);
	conf_wipe_secrets(setup->conf); /* the engine has its own copies */
	if (!err)
		err = confine_finish(calls, sizeof(calls) / sizeof(*calls));
	if (!err)
		err = say_ready(g);
	if (err) {
		log_error("cannot start: %s", strerror(-err));
		ike_free(g->ike);
		free(g);
		return 1;
	}
	gateway_rearm(g);
	event_base_dispatch(g->loop);
	ike_free(g->ike);
	free(g);
	return 0;
}
