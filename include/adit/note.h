/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The note in front of a frame: what BPF tells the worker, as XDP metadata (RFC-free, ours alone).
 *
 * It ends where the frame begins, i.e. it stands at address(frame) - sizeof(struct adit_note).  Its length is
 * not conveyed by AF_XDP, hence the fixed size; 32 octets is the most that Linux 6.1 allows.
 *
 *   SEAL  [Ethernet, VLAN?][outer IP][UDP?][ESP: SPI, 0][IV room][inner packet]     behind it: free chunk
 *         Everything in front of the inner packet is final but the ESP sequence number and the IV: lengths and the IPv4
 *         checksum already count padding, trailer and ICV, which the worker appends (RFC 4303 2).  The
 *         inner packet starts at esp_off + 8 + iv_len of the SA.  The L4 checksum of the inner packet may be
 *         unfinished (pseudo header sum only): the worker finishes it.
 *   OPEN  [ESP header][IV][ciphertext][ICV]     outer headers and link padding are gone
 *   SEND  a complete frame that seal.slot sends as it is
 *   HOLD  the clear frame as it came (Ethernet first): protected by a rule that has no SA yet
 */
#ifndef ADIT_NOTE_H
#define ADIT_NOTE_H

#include <linux/types.h>
#include <adit/maps.h>

#define ADIT_NOTE_MAGIC 0xad17

enum adit_note_kind { ADIT_NOTE_SEAL = 1, ADIT_NOTE_OPEN, ADIT_NOTE_HOLD, ADIT_NOTE_SEND };

#define ADIT_NOTE_INNER_V6 1 /* SEAL: next header 41 instead of 4 */
#define ADIT_NOTE_UDP_SUM  2 /* SEAL: UDP over IPv6, its checksum must be computed (RFC 8200 8.1) */
#define ADIT_NOTE_FRAGMENT 4 /* SEAL: IPv4 without DF that does not fit: fragments, each in its own envelope */

struct adit_note {
	__u16 magic;
	__u8 kind;
	__u8 flags;
	__u32 id; /* SEAL, OPEN: SA index.  HOLD: rule id */
	union {
		struct {
			__u32 slot;      /* port that sends it */
			__u16 l3_off;    /* of the outer IP header in the frame */
			__u16 esp_off;   /* of the ESP header in the frame */
			__u16 inner_len; /* octets of the inner packet */
			__u8 pad[14];
		} seal;
		struct {
			__u16 peer_port; /* outer source port, 0 = plain ESP; with peer: where it came from */
			__u8 tos;        /* outer TOS / traffic class: ECN, RFC 6040 */
			__u8 pad[5];
			struct adit_addr peer;
		} open;
		struct {
			__u16 l3_off;
			__u8 family; /* 4 or 6 */
			__u8 pad[21];
		} hold;
	};
};

_Static_assert(sizeof(struct adit_note) == 32, "the note is what XDP metadata can hold");

#endif
