/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The maps of include/adit/maps.h as the kernel creates them.  The parent sets where they are pinned. */
#ifndef ADIT_BPF_TABLES_H
#define ADIT_BPF_TABLES_H

#include "common.h"
#include "flow_key.h"

#define FLOWS	      4096 /* per CPU, a power of two */
#define LOGICAL_PORTS 64   /* VLAN devices included */
#define RULE_SETS     2	   /* the one in force and the one being written */
#define REASONS_IKE   256  /* those of ike/ike_reason.h and some */
#define EVENTS_OCTETS (64 * 1024)

/* What was decided for one flow.  Exact: its key is the whole selector of the packet. */
struct flow {
	struct flow_key key;
	__u64 generation;
	__u32 rule;    /* id, 0 = none matched */
	__u32 sa;      /* index, 0 = none */
	__u8 action;   /* enum adit_action, 0 = nothing known of the policy, SPD_UNSURE */
	__u8 narrowed; /* outside what the peer narrowed the SA to */
	__u16 fib_mtu; /* 0 = no limit known */
	/* Inside ports only, and only as fresh as fib_ns says. */
	__u64 fib_ns;
	__u32 fib_ifindex; /* policy interface that the kernel would choose, 0 = not a plain forward */
	__u32 slot;	   /* of the port it came in by */
	__u8 mac[6];	   /* of that port */
	__u8 pad[2];
};

/* The envelope of one outbound SA, ready to be copied in front of a packet. */
struct envelope {
	__u64 stamp_ns;
	__u64 generation;
	__u32 rule;
	__u32 slot; /* TX socket, here or on the internal port */
	__u32 sum;  /* of the IPv4 header: what no packet changes */
	__u16 tagged;
	__u16 id; /* IPv4 identification of the next packet that may be fragmented on its way */
	__u16 inner_mtu;
	__u16 mss4, mss6;
	__u8 iv_len, icv_len, align;
	__u8 df;  /* enum adit_df */
	__u8 v6;  /* outer family */
	__u8 udp; /* RFC 3948 */
	__u8 why; /* reason that nothing can be sent, 0 = can */
	__u8 via_kernel;
	__u8 link[20];	/* Ethernet and maybe VLAN header; 2 octets unused */
	__u8 outer[56]; /* IP, maybe UDP, ESP: without gaps */
};

struct limit {
	__u64 since_ns;
	__u64 used;
};

enum limit_kind { LIMIT_UNKNOWN_SPI, LIMIT_TOO_BIG, LIMIT_COUNT };

#define TABLE(NAME, TYPE, KEY, VALUE, MAX) \
	struct {                           \
		__uint(type, TYPE);        \
		__uint(max_entries, MAX);  \
		__type(key, KEY);          \
		__type(value, VALUE);      \
	} NAME SEC(".maps")

#define TABLE_MMAP(NAME, VALUE, MAX)               \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, MAX);          \
		__type(key, __u32);                \
		__type(value, VALUE);              \
	} NAME SEC(".maps")

TABLE(host, BPF_MAP_TYPE_ARRAY, __u32, struct adit_host, 1);
TABLE(ports, BPF_MAP_TYPE_HASH, __u32, struct adit_port, LOGICAL_PORTS);
TABLE(vlan_ports, BPF_MAP_TYPE_HASH, struct adit_vlan_key, __u32, LOGICAL_PORTS);
TABLE(own_addresses, BPF_MAP_TYPE_HASH, __u32, struct adit_own, ADIT_OWN_MAX);
TABLE(xsks, BPF_MAP_TYPE_XSKMAP, __u32, __u32, ADIT_PORTS_MAX *ADIT_QUEUES_MAX);
TABLE(spd_state, BPF_MAP_TYPE_ARRAY, __u32, struct adit_spd_state, 1);
TABLE(sa_state, BPF_MAP_TYPE_ARRAY, __u32, struct adit_sa_state, 1);
TABLE(spd, BPF_MAP_TYPE_HASH, struct adit_spd_key, struct adit_rule, RULE_SETS *ADIT_RULES_MAX);
TABLE(sa_out, BPF_MAP_TYPE_HASH, __u32, struct adit_sa_out, ADIT_SAS_MAX);
TABLE(sa_in, BPF_MAP_TYPE_HASH, __u32, struct adit_sa_in, ADIT_SAS_MAX);
TABLE(own_esp, BPF_MAP_TYPE_HASH, struct adit_own_esp_key, struct adit_own_esp, ADIT_SAS_MAX);
TABLE(rule_hits, BPF_MAP_TYPE_PERCPU_HASH, __u32, struct adit_hits, RULE_SETS *ADIT_RULES_MAX);
TABLE(reasons_bpf, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, ADIT_REASON_COUNT);
TABLE(flows, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct flow, FLOWS);
TABLE(nexthops, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct envelope, ADIT_SAS_MAX);
TABLE(limits, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct limit, LIMIT_COUNT);
TABLE_MMAP(reasons_worker, __u64, ADIT_REASON_COUNT);
TABLE_MMAP(reasons_ike, __u64, REASONS_IKE);
TABLE_MMAP(sa_stats, struct adit_sa_stats, ADIT_SAS_MAX);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_OCTETS);
} events SEC(".maps");

static __always_inline const struct adit_host *host_facts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&host, &zero);
}

/* May this happen once more in the present window?  Per CPU, so the bound is that times the CPUs. */
static __always_inline bool limit_allows(enum limit_kind kind, __u64 window_ns, __u64 most)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 key = kind;
	struct limit *l = bpf_map_lookup_elem(&limits, &key);

	if (!l)
		return false;
	if (!l->since_ns || now - l->since_ns > window_ns) {
		l->since_ns = now;
		l->used = 0;
	}
	return l->used++ < most;
}

#endif
