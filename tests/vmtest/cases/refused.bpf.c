// SPDX-License-Identifier: GPL-2.0-only
/* Reads behind the end of the packet: no kernel accepts it. */
#include <linux/bpf.h>

__attribute__((section("xdp"), used)) int reads_too_far(struct xdp_md *ctx)
{
	return *(unsigned char *)(long)ctx->data;
}

char _license[] __attribute__((section("license"), used)) = "GPL";
