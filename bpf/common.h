/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What every BPF file here needs: kernel types, helpers, the words of include/adit. */
#ifndef ADIT_BPF_COMMON_H
#define ADIT_BPF_COMMON_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <adit/maps.h>
#include <adit/note.h>
#include <adit/reasons.h>

#define FAMILY_INET  2 /* AF_INET, AF_INET6: linux/socket.h and sys/socket.h do not compile for bpf */
#define FAMILY_INET6 10

#define IKE_PORT      500
#define IKE_NATT_PORT 4500

#define TCP_HEADER 20 /* without options */
#define ESP_HEADER 8
#define ESP_LEAST  24 /* header and the smallest IV and ICV that any suite here has */

#define IP_DF	  0x4000
#define IP_MF	  0x2000
#define IP_OFFSET 0x1fff

static __always_inline int frame_len(const struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	return end - data;
}

#define memcpy(to, from, n) __builtin_memcpy(to, from, n)

#endif
