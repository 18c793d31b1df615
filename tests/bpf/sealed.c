// SPDX-License-Identifier: BSD-2-Clause
#include "sealed.h"

#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

static bool is_v4(const struct adit_addr *a)
{
	return !memcmp(a->octets, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
}

static struct sealed_want sealed(const struct adit_sa_out *sa, const struct frame *f)
{
	struct sealed_want w = {.sa = sa, .inner = f->b + f->l3, .inner_len = f->end - f->l3};
	bool v6 = w.inner[0] >> 4 == 6;

	w.flags = (uint8_t)((v6 ? ADIT_NOTE_INNER_V6 : 0) |
			    (sa->udp_encap && !is_v4(&sa->local) ? ADIT_NOTE_UDP_SUM : 0));
	w.df = sa->df == ADIT_DF_SET || (sa->df == ADIT_DF_COPY && (v6 || w.inner[6] & 0x40));
	return w;
}

struct sealed_want sealed_by_wan(const struct adit_sa_out *sa, const struct frame *f)
{
	struct sealed_want w = sealed(sa, f);

	memcpy(w.dmac, bed.gateway_mac, 6);
	memcpy(w.smac, bed.wan_mac, 6);
	w.slot = SLOT_WAN;
	return w;
}

struct sealed_want sealed_by_kernel(const struct adit_sa_out *sa, const struct frame *f)
{
	struct sealed_want w = sealed(sa, f);

	memcpy(w.dmac, bed.adit0_mac, 6);
	memcpy(w.smac, "\x02\xad\0\0\0\0", 6);
	w.slot = SLOT_INTERNAL;
	return w;
}

/* RFC 4303 2.4: payload, padding, pad length and next header end on the cipher's boundary. */
static size_t esp_len(const struct adit_sa_out *sa, size_t inner_len)
{
	size_t cipher = inner_len + 2;

	while (cipher % sa->align)
		cipher++;
	return 8 + sa->iv_len + cipher + sa->icv_len;
}

static size_t expect_outer_v4(const uint8_t *ip, const struct sealed_want *w, size_t payload, uint8_t tos)
{
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(ip[1], tos);
	assert_int_equal(get16(ip + 2), 20 + payload);
	assert_int_equal(get16(ip + 6), w->df ? 0x4000 : 0);
	if (w->df)
		assert_int_equal(get16(ip + 4), 0);
	assert_int_equal(ip[8], 64);
	assert_int_equal(ip[9], w->sa->udp_encap ? 17 : 50);
	assert_true(ip_sum_right(ip));
	assert_memory_equal(ip + 12, w->sa->local.octets + 12, 4);
	assert_memory_equal(ip + 16, w->sa->remote.octets + 12, 4);
	return 20;
}

static size_t expect_outer_v6(const uint8_t *ip, const struct sealed_want *w, size_t payload, uint8_t tos)
{
	assert_int_equal(get32(ip), 0x60000000 | (uint32_t)tos << 20);
	assert_int_equal(get16(ip + 4), payload);
	assert_int_equal(ip[6], w->sa->udp_encap ? 17 : 50);
	assert_int_equal(ip[7], 64);
	assert_memory_equal(ip + 8, w->sa->local.octets, 16);
	assert_memory_equal(ip + 24, w->sa->remote.octets, 16);
	return 40;
}

void expect_sealed(const struct result *r, const struct sealed_want *w)
{
	struct adit_note note = result_note(r);
	size_t len, at = 14, payload = esp_len(w->sa, w->inner_len) + (w->sa->udp_encap ? 8 : 0);
	const uint8_t *f = result_frame(r, &len);
	bool v4 = is_v4(&w->sa->local);
	uint8_t tos = w->inner[0] >> 4 == 4 ? w->inner[1] : (uint8_t)(get16(w->inner) >> 4);

	assert_int_equal(r->verdict, XDP_REDIRECT);
	assert_true(len > 60);
	assert_memory_equal(f, w->dmac, 6);
	assert_memory_equal(f + 6, w->smac, 6);
	if (w->vlan) {
		assert_int_equal(get16(f + 12), w->vlan_type);
		assert_int_equal(get16(f + 14), w->vlan);
		at = 18;
	}
	assert_int_equal(get16(f + at - 2), v4 ? 0x0800 : 0x86dd);
	assert_int_equal(note.kind, ADIT_NOTE_SEAL);
	assert_int_equal(note.flags, w->flags);
	assert_int_equal(note.id, w->sa->index);
	assert_int_equal(note.seal.slot, w->slot);
	assert_int_equal(note.seal.l3_off, at);
	at += v4 ? expect_outer_v4(f + at, w, payload, tos) : expect_outer_v6(f + at, w, payload, tos);
	if (w->sa->udp_encap) {
		assert_int_equal(get16(f + at), w->sa->local_port);
		assert_int_equal(get16(f + at + 2), w->sa->remote_port);
		assert_int_equal(get16(f + at + 4), payload);
		assert_int_equal(get16(f + at + 6), 0);
		at += 8;
	}
	assert_int_equal(note.seal.esp_off, at);
	assert_int_equal(get32(f + at), w->sa->spi);
	assert_int_equal(get32(f + at + 4), 0);
	at += 8 + w->sa->iv_len;
	assert_int_equal(note.seal.inner_len, w->inner_len);
	assert_true(len >= at + w->inner_len);
	assert_memory_equal(f + at, w->inner, w->inner_len);
}
