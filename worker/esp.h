// SPDX-License-Identifier: BSD-2-Clause
/* ESP, RFC 4303: seals what BPF put into an envelope, opens what it took out of one.  The caller has found
 * the SA by index and SPI.
 *
 * Both decide about one frame and touch nothing but that frame and its SA; the reason says what to do with
 * it. */
#ifndef ADIT_ESP_H
#define ADIT_ESP_H

#include "frame.h"
#include "inner.h"
#include "sad.h"

#include <adit/reasons.h>

/* Octets from the ESP header to the end of the ICV around an inner packet of that length. */
static inline uint32_t esp_sealed_len(const struct crypt *c, uint32_t inner_len)
{
	uint32_t text_len = (inner_len + 2 + c->align - 1) & ~(c->align - 1u);

	return ESP_HEADER_LEN + c->iv_len + text_len + c->icv_len;
}

/* The frame starts with Ethernet, the note says where the rest is.  On ADIT_SEALED it is ready to be sent,
 * otherwise nothing has left and nothing may. */
enum adit_reason esp_seal(struct sa *sa, struct frame *f, const struct adit_note *note, uint64_t now_ns);

struct opened {
	struct inner inner;
	bool newest; /* no authentic packet had a higher number before */
};

/* The frame starts with the ESP header.  On ADIT_REASON_NONE it starts with the inner packet and is as long
 * as that; the ECN field is merged and the MSS clamped. */
enum adit_reason esp_open(struct sa *sa, struct frame *f, uint8_t outer_tos, uint64_t now_ns,
			  struct opened *ret);

#endif
