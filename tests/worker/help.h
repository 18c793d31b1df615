// SPDX-License-Identifier: BSD-2-Clause
/* Packets, SAs and frames for the worker's tests. */
#ifndef WORKER_HELP_H
#define WORKER_HELP_H

#include "esp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TEST_SPI 0x11223344u

/* Octets out of hex digits (blanks are skipped); their number. */
size_t unhex(const char *text, uint8_t *ret);

/* The same keys on both ends, selectors that admit everything. */
struct adit_msg_sa_add sa_message(enum adit_direction direction, uint32_t suite, bool esn);
struct adit_addr addr_v4(const char *text);
struct adit_addr addr_v6(const char *text);

/* A UDP, TCP or other packet with right checksums from 10.1.1.2 to 10.1.2.2 or fd00:1:1::2 to fd00:1:2::2,
 * len octets in all; ports 4660 and 22136.  Returns len. */
uint32_t packet_v4(uint8_t *ip, uint8_t protocol, uint32_t len);
uint32_t packet_v6(uint8_t *ip, uint8_t protocol, uint32_t len);
void sum_header(uint8_t *ip);
/* The L4 checksum of such a packet, computed here, octet by octet. */
uint16_t sum_l4(const uint8_t *ip, uint32_t len);
/* Replace a right checksum by what a sender leaves that trusts its hardware. */
void unfinish(uint8_t *ip, uint32_t len);
void store_sum(uint8_t *ip, uint32_t len);
bool sums_right(const uint8_t *ip, uint32_t len);

/* Ethernet, outer IP of that family (4 or 6), maybe UDP, ESP header and room: what BPF writes.  inner is
 * copied in. chunk has 2048 octets. */
struct frame seal_frame(uint8_t *chunk, const struct crypt *c, uint32_t id, int outer, bool udp,
			const uint8_t *inner, uint32_t inner_len);
/* Take the outer headers away again and write the note that BPF gives an arriving ESP packet. */
void turn_round(struct frame *f, uint32_t id, uint8_t tos);

/* To change what the note says. */
struct __attribute__((packed, aligned(1))) loose_note {
	struct adit_note n;
};
#define note_at(f) ((struct loose_note *)((f)->data - sizeof(struct adit_note)))

uint32_t rnd(void); /* reproducible */
uint32_t rnd_below(uint32_t n);

#endif
