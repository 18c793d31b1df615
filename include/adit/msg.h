/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages between the processes, over SOCK_SEQPACKET pairs that the parent made: one struct, one message.
 *
 *   ike -> worker   SA_ADD, SA_DEL, RELEASE, DISCARD, FLUSH     commands, in order, never lost
 *   worker -> ike   ACQUIRE, PEER_MOVED, LIFETIME               events, which may be lost without harm
 *   ike -> worker   ESP out of its sockets, on a pair of its own: an OPEN note (note.h) and what stands behind it, just as
 *                   XDP would have left it; lost when the pair is full
 *   ike -> parent   READY                                       it has started under this configuration
 *   parent -> ike   ATTACHED                                    the guard stands: answer those who ask
 *                   WORKER_STARTED                              a fresh worker: every SA it had is gone
 *
 * Both ends are one build on one machine, so these are plain structs in host order; addresses as in maps.h.
 * Ordering promise: SA_ADD is sent before the maps name the SA, so a worker that meets an unknown SA index
 * reads its commands once and then knows it, or never will.
 */
#ifndef ADIT_MSG_H
#define ADIT_MSG_H

#include <adit/maps.h>
#include <adit/suite.h>

enum adit_msg_type {
	ADIT_MSG_SA_ADD = 1,
	ADIT_MSG_SA_DEL,
	ADIT_MSG_RELEASE,
	ADIT_MSG_DISCARD,
	ADIT_MSG_FLUSH,
	ADIT_MSG_ACQUIRE,
	ADIT_MSG_PEER_MOVED,
	ADIT_MSG_LIFETIME,
	ADIT_MSG_READY,
	ADIT_MSG_ATTACHED,
	ADIT_MSG_WORKER_STARTED,
};

enum adit_direction { ADIT_IN = 1, ADIT_OUT };

#define ADIT_WORKER_TS_MAX 8

struct adit_msg_sa_add {
	__u32 type;
	__u32 index;
	__u32 spi;
	__u32 rule; /* id */
	__u8 direction;
	__u8 suite;
	__u8 esn;
	__u8 locals, remotes;
	__u8 pad[3];
	__u32 replay_window; /* packets, inbound; 0 = check off */
	__u16 mss4, mss6;    /* inbound SYNs are clamped to this, 0 = leave them */
	__u16 inner_mtu;     /* outbound: largest packet that fits; what may be fragmented is cut to it */
	__u16 remote_port;   /* outer address the peer sends from, as negotiated; 0 = plain ESP */
	__u64 soft_packets;  /* LIFETIME is sent once when this many are through; 0 = never */
	struct adit_addr remote;
	struct adit_selector local_ts[ADIT_WORKER_TS_MAX], remote_ts[ADIT_WORKER_TS_MAX]; /* inbound check */
	__u8 key[ADIT_KEY_MAX];
	__u8 salt[ADIT_SALT_MAX];
	__u8 integrity_key[ADIT_IKEY_MAX];
};

/* SA_DEL: id is the SA index.  RELEASE, DISCARD: id is the rule id.  FLUSH and the parent's: unused. */
struct adit_msg_id {
	__u32 type;
	__u32 id;
};

/* A packet waits for this rule's SA; its selectors lead TSi and TSr (RFC 7296 2.9). */
struct adit_msg_acquire {
	__u32 type;
	__u32 rule;
	struct adit_addr src, dst;
	__u16 src_port, dst_port; /* 0 when the protocol has none; ICMP: type and code as RFC 7296 3.13.1 */
	__u8 protocol;
	__u8 pad[3];
};

/* An authentic, newest packet came from here (RFC 7296 2.23). */
struct adit_msg_peer_moved {
	__u32 type;
	__u32 index;
	struct adit_addr remote;
	__u16 remote_port;
	__u16 pad;
};

struct adit_msg_lifetime {
	__u32 type;
	__u32 index;
	__u32 hard; /* 0: time to rekey.  1: no sequence number is left */
	__u32 pad;
};

union adit_msg {
	__u32 type;
	struct adit_msg_id id;
	struct adit_msg_sa_add sa_add;
	struct adit_msg_acquire acquire;
	struct adit_msg_peer_moved peer_moved;
	struct adit_msg_lifetime lifetime;
};

#endif
