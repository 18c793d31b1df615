// SPDX-License-Identifier: BSD-2-Clause
#include "bed.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct bed bed;

#define VLAN_IFINDEX 4242

static const char *missing; /* feature without which nothing here runs */

void bed_run(const char *command)
{
	int status = system(command);

	if (status) {
		fprintf(stderr, "command failed (%d): %s\n", status, command);
		abort();
	}
}

static void set_sysctl(const char *name, const char *value)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	f = fopen(path, "w");
	if (!f || fputs(value, f) < 0 || fclose(f)) {
		fprintf(stderr, "cannot write %s\n", path);
		abort();
	}
}

static void mac_of(const char *name, uint8_t mac[6])
{
	struct ifreq req = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &req))
		abort();
	memcpy(mac, req.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void make_network(void)
{
	bed_run("ip link set lo up");
	bed_run("ip link add lan0 type veth peer name lanx && ip link add wan0 type veth peer name wanx && "
		"ip link add adit0 type veth peer name adit1");
	bed_run("ip link add many0 numrxqueues 32 numtxqueues 1 type veth peer name many1 numrxqueues 1 "
		"numtxqueues 1 && ip link set many0 up && ip link set many1 up");
	set_sysctl("ipv6/conf/all/forwarding", "1");
	set_sysctl("ipv4/ip_forward", "1");
	set_sysctl("ipv6/conf/all/accept_dad", "0");
	bed_run("for i in lan0 lanx wan0 wanx adit0 adit1; do ip link set $i up; done; "
		"ip addr add 10.1.1.1/24 dev lan0; ip addr add 2001:db8:11::1/64 dev lan0 nodad; "
		"ip addr add 192.0.2.1/24 dev wan0; ip addr add 2001:db8:1::1/64 dev wan0 nodad; "
		"ip route add default via 192.0.2.254; ip -6 route add 2001:db8::/32 via 2001:db8:1::fe; "
		"ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:fe dev wan0 nud permanent; "
		"ip neigh add 2001:db8:1::fe lladdr 02:00:00:00:00:fe dev wan0 nud permanent; "
		"ip neigh add 10.1.1.5 lladdr 02:00:00:00:01:05 dev lan0 nud permanent; "
		"ip neigh add 2001:db8:11::5 lladdr 02:00:00:00:01:05 dev lan0 nud permanent; "
		"ip route add unreachable 203.0.113.0/24");
	bed.lan = (int)if_nametoindex("lan0");
	bed.wan = (int)if_nametoindex("wan0");
	bed.adit0 = (int)if_nametoindex("adit0");
	bed.adit1 = (int)if_nametoindex("adit1");
	bed.many = (int)if_nametoindex("many0");
	bed.vlan = VLAN_IFINDEX;
	mac_of("lan0", bed.lan_mac);
	mac_of("wan0", bed.wan_mac);
	mac_of("adit0", bed.adit0_mac);
	memcpy(bed.gateway_mac, "\x02\0\0\0\0\xfe", 6);
}

/* A socket that could receive; nothing is ever received in these tests, so its rings are not mapped. */
static int open_xsk(int ifindex)
{
	struct sockaddr_xdp addr = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY};
	size_t size = 64 * 2048;
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct xdp_umem_reg reg = {.addr = (uintptr_t)area, .len = size, .chunk_size = 2048};
	int n = 64, fd = socket(AF_XDP, SOCK_RAW, 0);

	addr.sxdp_ifindex = (uint32_t)ifindex;
	if (fd < 0 || area == MAP_FAILED || setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &n, sizeof(n)) ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &n, sizeof(n)) ||
	    setsockopt(fd, SOL_XDP, XDP_RX_RING, &n, sizeof(n)) ||
	    setsockopt(fd, SOL_XDP, XDP_TX_RING, &n, sizeof(n)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		perror("AF_XDP socket");
		abort();
	}
	return fd;
}

static int map_fd(const char *name)
{
	return bpf_object__find_map_fd_by_name(bed.skel->obj, name);
}

static void set(const char *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(map_fd(map), key, value, BPF_ANY)) {
		fprintf(stderr, "map %s: %s\n", map, strerror(errno));
		abort();
	}
}

void bed_socket(int slot, bool there)
{
	uint32_t key = (uint32_t)slot * ADIT_QUEUES_MAX;

	if (there)
		set("xsks", &key, &bed.socket[slot]);
	else
		bpf_map_delete_elem(map_fd("xsks"), &key);
}

void bed_port(int ifindex, const struct adit_port *port)
{
	set("ports", &ifindex, port);
}

struct adit_port bed_port_get(int ifindex)
{
	struct adit_port port = {0};

	bpf_map_lookup_elem(map_fd("ports"), &ifindex, &port);
	return port;
}

void bed_port_tagged(int ifindex, uint16_t type, uint16_t id)
{
	struct adit_port port = bed_port_get(ifindex);

	port.lower_ifindex = 1;
	port.vlan_type = type;
	port.vlan = id;
	bed_port(ifindex, &port);
}

struct adit_host bed_host_get(void)
{
	struct adit_host host = {0};
	uint32_t zero = 0;

	bpf_map_lookup_elem(map_fd("host"), &zero, &host);
	return host;
}

void bed_host(const struct adit_host *host)
{
	uint32_t zero = 0;

	set("host", &zero, host);
	bed_generation();
}

void bed_generation(void)
{
	struct adit_spd_state state;
	uint32_t zero = 0;

	bpf_map_lookup_elem(map_fd("spd_state"), &zero, &state);
	state.generation = ++bed.generation;
	set("spd_state", &zero, &state);
}

void bed_rules(const struct adit_rule *rules, uint32_t n)
{
	struct adit_spd_state state = {
		.generation = bed.generation, .set = 1, .rules = {0, n + 4}
	   };
	struct adit_hits hits[64] = {0};
	uint32_t i, zero = 0;

	for (i = 0; i < n; i++) {
		bed_rule_row(i, &rules[i]);
		set("rule_hits", &rules[i].id, hits);
	}
	for (i = 0; i < 4; i++) {
		struct adit_rule rest =
			rule_of(0, bed.rest, i & 1 ? "0.0.0.0/0" : "::/0", i & 1 ? "0.0.0.0/0" : "::/0", 0);

		rest.policy = i & 2 ? POLICY_VLAN : POLICY_WAN;
		bed_rule_row(n + i, &rest);
	}
	set("spd_state", &zero, &state);
	bed_generation();
}

void bed_rule_row(uint32_t position, const struct adit_rule *rule)
{
	struct adit_spd_key key = {.set = 1, .position = position};

	if (rule)
		set("spd", &key, rule);
	else
		bpf_map_delete_elem(map_fd("spd"), &key);
}

void bed_sa(uint32_t rule, const struct adit_sa_out *sa)
{
	if (sa)
		set("sa_out", &rule, sa);
	else
		bpf_map_delete_elem(map_fd("sa_out"), &rule);
	bed_generation();
}

void bed_sa_in(uint32_t spi, uint32_t index, const char *local)
{
	struct adit_sa_in sa = {.index = index, .rule = 1, .local = addr_of(local)};

	set("sa_in", &spi, &sa);
}

struct adit_addr addr_of(const char *text)
{
	struct adit_addr a = {{0}};

	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, a.octets);
	} else {
		a.octets[10] = a.octets[11] = 0xff;
		inet_pton(AF_INET, text, a.octets + 12);
	}
	return a;
}

struct adit_addr mask_of(const char *text, unsigned len)
{
	struct adit_addr m = {{0}};
	unsigned i;

	if (!strchr(text, ':'))
		len += 96;
	for (i = 0; i < len; i++)
		m.octets[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return m;
}

static void side_of(const char *prefix, struct adit_addr *addr, struct adit_addr *mask)
{
	char text[64];
	unsigned len = 0;

	if (sscanf(prefix, "%63[^/]/%u", text, &len) != 2)
		abort();
	*addr = addr_of(text);
	*mask = mask_of(text, len);
}

struct adit_rule rule_of(uint32_t id, enum adit_action action, const char *local, const char *remote,
			 uint8_t protocol)
{
	struct adit_rule r = {
		.id = id,
		.policy = POLICY_WAN,
		.action = (uint8_t)action,
		.family = strchr(local, ':') ? 6 : 4,
		.protocol = protocol,
		.local_port_max = 65535,
		.remote_port_max = 65535,
		.name = "rule",
	};

	side_of(local, &r.local, &r.local_mask);
	side_of(remote, &r.remote, &r.remote_mask);
	return r;
}

/* AES-GCM-16 between two addresses, all selectors of both families. */
struct adit_sa_out sa_of(uint32_t index, const char *local, const char *remote)
{
	struct adit_sa_out sa = {
		.index = index,
		.spi = 0xc0ffee00 + index,
		.iv_len = 8,
		.icv_len = 16,
		.align = 4,
		.df = ADIT_DF_COPY,
		.locals = 2,
		.remotes = 2,
		.local_port = 4500,
		.remote_port = 4500,
		.inner_mtu = strchr(local, ':') ? 1414 : 1430,
		.local = addr_of(local),
		.remote = addr_of(remote),
		.peer = "peer",
		.rule = "rule",
	};
	int i;

	for (i = 0; i < 2; i++) {
		memset(&sa.local_ts[i].max, 0xff, 16);
		sa.local_ts[i].port_max = 65535;
		sa.local_ts[i].family = i ? 6 : 4;
		sa.remote_ts[i] = sa.local_ts[i];
	}
	return sa;
}

static void set_ports(void)
{
	struct adit_port wan = {.name = "wan0",
				.slot = SLOT_WAN,
				.queues = 1,
				.lower_ifindex = (uint32_t)bed.wan,
				.policy = POLICY_WAN,
				.mtu = 1500,
				.role = ADIT_ROLE_OUTSIDE,
				.flags = ADIT_PORT_FAST_PATH};
	struct adit_port lan = wan, internal = wan, vlan = wan;
	struct adit_vlan_key key = {.lower_ifindex = (uint32_t)bed.wan, .tag = ADIT_TAG(ETH_P_8021Q, 7)};
	struct adit_host host = {.internal_ifindex = (uint32_t)bed.adit0,
				 .internal_far_ifindex = (uint32_t)bed.adit1,
				 .internal_slot = SLOT_INTERNAL};

	memcpy(wan.mac, bed.wan_mac, 6);
	memcpy(lan.mac, bed.lan_mac, 6);
	snprintf(lan.name, sizeof(lan.name), "lan0");
	lan.slot = SLOT_LAN;
	lan.lower_ifindex = (uint32_t)bed.lan;
	lan.role = ADIT_ROLE_INSIDE;
	lan.policy = internal.policy = 0;
	internal.slot = SLOT_INTERNAL;
	internal.lower_ifindex = (uint32_t)bed.adit1;
	internal.role = ADIT_ROLE_INTERNAL;
	vlan.vlan = 7;
	vlan.vlan_type = ETH_P_8021Q;
	vlan.policy = POLICY_VLAN;
	bed_port(bed.wan, &wan);
	bed_port(bed.lan, &lan);
	bed_port(bed.adit1, &internal);
	bed_port(bed.vlan, &vlan);
	set("vlan_ports", &key, &bed.vlan);
	memcpy(host.internal_mac, bed.adit0_mac, 6);
	bed_host(&host);
}

static void clear_hash(const char *map)
{
	uint8_t key[64];

	while (!bpf_map_get_next_key(map_fd(map), NULL, key))
		bpf_map_delete_elem(map_fd(map), key);
}

int bed_reset(void **state)
{
	static const char *const hashes[] = {"ports", "vlan_ports", "spd",	 "sa_out",
					     "sa_in", "own_esp",    "rule_hits", "own_addresses"};
	size_t i;
	int slot;

	(void)state;
	if (missing)
		return 1;
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		clear_hash(hashes[i]);
	bed.rest = ADIT_REST_BYPASS;
	bed_rules(NULL, 0);
	set_ports();
	for (slot = 0; slot < 3; slot++)
		bed_socket(slot, true);
	reasons_mark();
	return 0;
}

static int load_empty(void)
{
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT		   },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", insns, sizeof(insns) / sizeof(insns[0]),
			       NULL);

	if (fd < 0)
		abort();
	return fd;
}

static void attach(int ifindex)
{
	/* Only a veth with a program has the receive queue that a test run pretends to use. */
	if (bpf_xdp_attach(ifindex, bed.empty, XDP_FLAGS_DRV_MODE, NULL))
		abort();
}

int bed_open(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET)) {
		missing = "a network namespace (root)";
		return 0;
	}
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	bed.skel = adit_bpf__open_and_load();
	if (!bed.skel) {
		if (errno != EPERM)
			return -1;
		missing = "bpf()";
		return 0;
	}
	make_network();
	bed.empty = load_empty();
	attach(bed.lan);
	attach(bed.wan);
	attach(bed.adit0);
	attach(bed.adit1);
	attach(bed.many);
	bed.socket[SLOT_WAN] = open_xsk(bed.wan);
	bed.socket[SLOT_LAN] = open_xsk(bed.lan);
	bed.socket[SLOT_INTERNAL] = open_xsk(bed.adit1);
	return bed_reset(NULL);
}

int bed_close(void **state)
{
	(void)state;
	adit_bpf__destroy(bed.skel);
	return 0;
}

void bed_needed(void **state)
{
	(void)state;
	if (!missing)
		return;
	printf("needs: %s\n", missing);
	skip();
}

struct result bed_xdp(struct bpf_program *prog, const struct frame *f, int ifindex)
{
	return bed_xdp_queue(prog, f, ifindex, 0);
}

struct result bed_xdp_queue(struct bpf_program *prog, const struct frame *f, int ifindex, uint32_t queue)
{
	struct xdp_md in = {
		.data_end = (uint32_t)f->len, .ingress_ifindex = (uint32_t)ifindex, .rx_queue_index = queue};
	struct xdp_md out = {0};
	struct result r = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = r.b, .data_size_out = sizeof(r.b), .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out));

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts)) {
		fprintf(stderr, "test run: %s\n", strerror(errno));
		abort();
	}
	r.verdict = opts.retval;
	r.len = opts.data_size_out;
	r.meta = out.data;
	return r;
}

struct result bed_tc(struct bpf_program *prog, const struct frame *f, int ifindex, int from,
		     uint32_t gso_size)
{
	struct __sk_buff in = {.ifindex = (uint32_t)ifindex,
			       .ingress_ifindex = (uint32_t)from,
			       .gso_size = gso_size,
			       .gso_segs = gso_size ? 2 : 0};
	struct result r = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = r.b, .data_size_out = sizeof(r.b), .ctx_in = &in, .ctx_size_in = sizeof(in));

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts)) {
		fprintf(stderr, "test run: %s\n", strerror(errno));
		abort();
	}
	r.verdict = opts.retval;
	r.len = opts.data_size_out;
	return r;
}

const uint8_t *result_frame(const struct result *r, size_t *len)
{
	*len = r->len - r->meta;
	return r->b + r->meta;
}

struct adit_note result_note(const struct result *r)
{
	struct adit_note note = {0};

	assert_int_equal(r->meta, sizeof(note));
	memcpy(&note, r->b, sizeof(note));
	assert_int_equal(note.magic, ADIT_NOTE_MAGIC);
	return note;
}

uint64_t reason_count(enum adit_reason why)
{
	uint64_t per_cpu[256] = {0}, sum = 0;
	uint32_t key = why, i;

	bpf_map_lookup_elem(map_fd("reasons_bpf"), &key, per_cpu);
	for (i = 0; i < 256; i++)
		sum += per_cpu[i];
	return sum;
}

void reasons_mark(void)
{
	uint32_t i;

	for (i = 0; i < ADIT_REASON_COUNT; i++)
		bed.before[i] = reason_count((enum adit_reason)i);
}

static const char *const names[] = {[0] = "none",
#define X(e, name, sentence) [ADIT_##e] = name,
				    ADIT_REASONS(X)
#undef X
};

void expect_reason(enum adit_reason why, enum adit_reason also)
{
	uint32_t i;

	for (i = 0; i < ADIT_REASON_COUNT; i++) {
		uint64_t n = reason_count((enum adit_reason)i) - bed.before[i];
		uint64_t want = (i == (uint32_t)why) + (i && i == (uint32_t)also);

		if (n != want)
			fail_msg("reason %s counted %lu times, not %lu (expected %s)", names[i],
				 (unsigned long)n, (unsigned long)want, names[why]);
	}
	reasons_mark();
}
