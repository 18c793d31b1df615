/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The maps: what ike and the parent tell the BPF programs, what everybody counts.
 *
 * Every map is pinned as /sys/fs/bpf/adit/INSTANCE/NAME and carries BTF, so that `bpftool map dump pinned`
 * shows the field names below.  No key material, ever.  One writer per map:
 *
 *   map             type                  key -> value                               writer
 *   host            ARRAY[1]              0 -> adit_host                             parent
 *   ports           HASH                  ifindex -> adit_port                       parent
 *   vlan_ports      HASH                  adit_vlan_key -> ifindex of the VLAN device    parent
 *   own_addresses   HASH                  ifindex -> adit_own                        parent
 *   xsks            XSKMAP                slot * ADIT_QUEUES_MAX + queue -> socket   parent
 *   spd_state       ARRAY[1]              0 -> adit_spd_state                        parent
 *   spd             HASH                  adit_spd_key -> adit_rule                  parent
 *   sa_state        ARRAY[1]              0 -> adit_sa_state                         ike
 *   sa_out          HASH                  rule id -> adit_sa_out                     ike
 *   sa_in           HASH                  SPI (host order) -> adit_sa_in             ike
 *   own_esp         HASH                  adit_own_esp_key -> adit_own_esp           ike
 *   rule_hits       PERCPU_HASH           rule id -> adit_hits                       bpf (entries made by the parent)
 *   reasons_bpf     PERCPU_ARRAY          reason -> __u64                            bpf
 *   reasons_worker  ARRAY, mmapable       reason -> __u64                            worker
 *   reasons_ike     ARRAY, mmapable       reason -> __u64                            ike
 *   sa_stats        ARRAY, mmapable       SA index -> adit_sa_stats                  worker
 *   events          RINGBUF               adit_event                                 bpf, read by ike
 *   flows, nexthops PERCPU_ARRAY          caches                                     bpf
 *   quoted          PERCPU_ARRAY          room for a packet quoted by an ICMP error      bpf
 *   limits          PERCPU_ARRAY          rate limits                                bpf
 *
 * Addresses are 16 octets in network order, IPv4 as ::ffff:a.b.c.d.  Everything else is host order.
 */
#ifndef ADIT_MAPS_H
#define ADIT_MAPS_H

#include <linux/types.h>

#define ADIT_NAME_LEN    32
#define ADIT_PORTS_MAX   16
#define ADIT_QUEUES_MAX  16
#define ADIT_RULES_MAX   1024
#define ADIT_SAS_MAX     1024 /* SA indices are 1 .. ADIT_SAS_MAX-1, one per direction; 0 is no SA */
#define ADIT_PEERS_MAX   1024
#define ADIT_TS_MAX      4    /* narrowed selectors a Child SA may have on each side */
#define ADIT_OWN_MAX     256  /* interfaces whose addresses we know */
#define ADIT_NO_SLOT     0xffffffffu

/* The largest IP packet that a frame holds, sealed or not: what one 2 KiB chunk has behind its headroom, less Ethernet
 * and a tag, rounded down.  No device's MTU counts beyond it, and the internal pair's is never above it. */
#define ADIT_FRAME_MTU_MAX 1700

struct adit_addr {
	__u8 octets[16];
};

/* What the parent knows of this host. */
struct adit_host {
	__u32 internal_ifindex;     /* near end of the internal veth pair (adit0): TC redirects into it */
	__u32 internal_far_ifindex; /* far end: runs the XDP program adit_internal */
	__u32 internal_slot;        /* TX here reaches the kernel, arriving on the near end */
	__u8 internal_mac[6];       /* of the near end */
	__u8 pad[2];
	__u64 ike_cookies[4];       /* SO_COOKIE of our IKE sockets: their datagrams bypass the SPD (RFC 4301 4.4.1) */
	char instance[16];          /* whose programs these are, for whoever finds them on a device: every program has this map */
};

enum adit_role {
	ADIT_ROLE_OUTSIDE = 1,
	ADIT_ROLE_INSIDE,
	ADIT_ROLE_INTERNAL,
	ADIT_ROLE_CARRIER, /* not configured itself, but below a VLAN device that is */
};

#define ADIT_PORT_FAST_PATH      1 /* inside: XDP may protect; outside: sealed frames may leave by XSK */
#define ADIT_PORT_NO_ETHERNET    4 /* ppp, tun, wwan: frames start with the IP header */
#define ADIT_PORT_NO_SOCKET      8 /* AF_XDP refuses us there: the kernel hands its ESP to ours */

/* An interface that we look at.  Nothing passes one of our programs on an interface that has no row here, or whose
 * policy has no rows in the SPD: not "no rule matches", but "nobody knows the rules".  A VLAN device has no socket of its own: slot and queues are those of the
 * device below it, and vlan is the tag that a frame for it must carry there. */
struct adit_port {
	char name[16];
	__u32 slot; /* index of its TX socket in the worker, or ADIT_NO_SLOT */
	__u32 queues;
	__u32 lower_ifindex; /* device that owns the sockets; its own ifindex when that is itself */
	__u32 policy;        /* id; 0 = none: nothing is protected here */
	__u16 vlan;          /* id of its tag, 0 = none */
	__u16 vlan_type;     /* EtherType of that tag: 802.1Q, 802.1ad */
	__u16 mtu;
	__u8 role;
	__u8 flags;
	__u8 mac[6];
	__u8 pad[2];
};

/* A VLAN tag as it stands in a frame, without the priority.  Id 5 of 802.1Q and id 5 of 802.1ad are two VLANs. */
#define ADIT_TAG(type, id) ((__u32)(type) << 16 | (id))

/* Which VLAN device a tagged frame belongs to. */
struct adit_vlan_key {
	__u32 lower_ifindex;
	__u32 tag; /* ADIT_TAG */
};

/* The addresses that this gateway shows on an interface, one of each family; all zero: none. */
struct adit_own {
	struct adit_addr v4, v6;
};

/* A reader may see this struct half written.  So write set and rules with the old generation first, and then
 * the new generation: what was decided on the way is cached under the old one. */
struct adit_spd_state {
	__u32 generation; /* raised on every change of rules or ports: what flow caches learned before is void */
	__u32 set;        /* which of the two rule sets is in force */
	__u32 rules[2];   /* how many rules each set has */
};

struct adit_spd_key {
	__u32 set;
	__u32 position; /* 0 is looked at first: RFC 4301 ordered SPD */
};

struct adit_sa_state {
	__u32 generation; /* likewise, raised on every change of SAs */
};

/* The last rows of every policy, one a family, say what happens to packets that no rule before matched: that is what
 * makes a policy complete, and tells it from one that is not there. */
enum adit_action { ADIT_BYPASS = 1, ADIT_PROTECT, ADIT_DISCARD, ADIT_REST_BYPASS, ADIT_REST_DISCARD };

/* One SPD entry as seen outbound; inbound it is matched with both sides exchanged. */
struct adit_rule {
	__u32 id; /* stable name of the rule; key of sa_out and rule_hits; 0: one of a policy's last rows */
	__u32 policy; /* id; a port's row names it */
	__u8 action;
	__u8 family;   /* 4 or 6 */
	__u8 protocol; /* 0 = any */
	__u8 pad;
	__u16 local_port_min, local_port_max;   /* 0..65535 = any */
	__u16 remote_port_min, remote_port_max;
	struct adit_addr local, local_mask;
	struct adit_addr remote, remote_mask;
	char name[ADIT_NAME_LEN];
};

/* A traffic selector after narrowing: RFC 7296 3.13.1. */
struct adit_selector {
	struct adit_addr min, max;
	__u16 port_min, port_max;
	__u8 protocol; /* 0 = any */
	__u8 family;   /* 4 or 6: ::/0 spans the mapped addresses and admits no IPv4 for that */
	__u8 pad[2];
};

enum adit_df { ADIT_DF_COPY, ADIT_DF_SET, ADIT_DF_CLEAR };

/* The outbound SA that serves a rule: all that the envelope needs. */
struct adit_sa_out {
	__u32 index;
	__u32 spi;
	__u8 udp_encap; /* RFC 3948 */
	__u8 iv_len, icv_len, align; /* shape of the suite; align: the ciphertext's, a power of two >= 4 */
	__u8 df;        /* enum adit_df */
	__u8 locals, remotes; /* how many selectors below are in use */
	__u8 pad;
	__u16 local_port, remote_port; /* udp_encap only */
	__u16 inner_mtu; /* largest inner packet whose outer packet still fits the policy interface */
	__u16 mss4, mss6; /* clamp SYNs to this, 0 = leave them */
	__u16 pad2;
	struct adit_addr local, remote; /* outer addresses */
	struct adit_selector local_ts[ADIT_TS_MAX], remote_ts[ADIT_TS_MAX];
	char peer[ADIT_NAME_LEN];
	char rule[ADIT_NAME_LEN];
};

struct adit_sa_in {
	__u32 index;
	__u32 rule; /* id */
	__u8 udp_encap; /* as negotiated; told to readers only: a peer may switch at any time (RFC 7296 2.23) */
	__u8 pad[3];
	struct adit_addr local;  /* accepted only when addressed to this */
	struct adit_addr remote;
	char peer[ADIT_NAME_LEN];
};

/* What we sealed may leave a policy interface through the kernel as it is.  A row for every outbound SA, even one whose
 * rule has a newer one; and one with SPI 0 for each pair of addresses, for later fragments, which show none. */
struct adit_own_esp_key {
	struct adit_addr local, remote; /* outer addresses */
	__u32 spi;
};

struct adit_own_esp {
	__u16 remote_port; /* RFC 3948; 0 = plain ESP */
	__u8 pad[2];
	char peer[ADIT_NAME_LEN];
};

struct adit_hits {
	__u64 packets;
	__u64 octets;
};

/* One cache line per SA, written by the worker's thread only; readers may see it torn. */
struct adit_sa_stats {
	__u64 packets;
	__u64 octets;      /* of inner packets */
	__u64 sequence;    /* last sent, or highest authenticated */
	__u64 last_ns;     /* CLOCK_MONOTONIC of the last packet, coarse; 0 = none yet */
	__u64 replay_drops;
	__u64 integrity_drops;
	__u64 selector_drops;
	__u64 other_drops;
};

enum adit_event_kind { ADIT_EVENT_UNKNOWN_SPI = 1 };

struct adit_event {
	__u32 kind;
	__u32 spi;
	struct adit_addr src, dst;
	__u16 src_port, dst_port; /* 0 for plain ESP */
	__u32 ifindex;
};

#endif
