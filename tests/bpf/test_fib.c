// SPDX-License-Identifier: BSD-2-Clause
/* adit_fib: questions about routes, asked as the worker asks them: a descriptor, a packet, no privilege. */
#include "bed.h"

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static uint32_t ask(const struct frame *f, struct adit_fib_answer *answer)
{
	uint8_t out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = out, .data_size_out = sizeof(out));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bed.skel->progs.adit_fib), &opts), 0);
	if (opts.retval == XDP_PASS) {
		assert_int_equal(opts.data_size_out, sizeof(*answer));
		memcpy(answer, out, sizeof(*answer));
	}
	return opts.retval;
}

/* Only an IP header with a length that the question does not hold. */
static struct frame question(const char *src, const char *dst)
{
	struct frame f;

	frame_eth(&f, bed.adit0_mac, bed.adit0_mac);
	frame_ip(&f, src, dst, IPPROTO_UDP);
	if (f.b[14] >> 4 == 4)
		put16(f.b + 16, 1400);
	else
		put16(f.b + 18, 1400);
	return f;
}

static void finds_the_inside(void **state)
{
	static const uint8_t host_mac[6] = {2, 0, 0, 0, 1, 5};
	struct adit_fib_answer a;
	struct frame f;
	int v6;

	bed_needed(state);
	bed_reset(NULL);
	for (v6 = 0; v6 < 2; v6++) {
		f = question(v6 ? FAR6 : FAR4, v6 ? LAN6 : LAN4);
		assert_int_equal(ask(&f, &a), XDP_PASS);
		assert_int_equal(a.result, BPF_FIB_LKUP_RET_SUCCESS);
		assert_int_equal(a.ifindex, bed.lan);
		assert_int_equal(a.slot, SLOT_LAN);
		assert_int_equal(a.vlan, 0);
		assert_int_equal(a.mtu, 1500);
		assert_memory_equal(a.smac, bed.lan_mac, 6);
		assert_memory_equal(a.dmac, host_mac, 6);
	}
}

static void tells_slots_and_tags(void **state)
{
	struct adit_fib_answer a;
	struct adit_port port;
	struct frame f;

	bed_needed(state);
	bed_reset(NULL);
	f = question(FAR4, LAN4);
	bed_port_tagged(bed.lan, ETH_P_8021Q, 9);
	ask(&f, &a);
	assert_int_equal(a.vlan, 9);
	assert_int_equal(a.vlan_type, ETH_P_8021Q);
	bed_port_tagged(bed.lan, ETH_P_8021AD, 9);
	ask(&f, &a);
	assert_int_equal(a.vlan, 9);
	assert_int_equal(a.vlan_type, ETH_P_8021AD);
	port = bed_port_get(bed.lan);
	port.lower_ifindex = (uint32_t)bed.lan; /* it has sockets of its own */
	bed_port(bed.lan, &port);
	ask(&f, &a);
	assert_int_equal(a.vlan, 0);
	port.flags = 0;
	bed_port(bed.lan, &port);
	ask(&f, &a);
	assert_int_equal(a.result, BPF_FIB_LKUP_RET_SUCCESS);
	assert_int_equal(a.slot, ADIT_NO_SLOT);
}

/* What was decrypted and leaves by a policy interface again (hub and spoke, full tunnel) must meet
 * adit_egress there, however fast that port is: the route is told, a slot is not. */
static void gives_no_slot_outside(void **state)
{
	struct adit_fib_answer a;
	struct frame f;
	int v6;

	bed_needed(state);
	bed_reset(NULL);
	assert_true(bed_port_get(bed.wan).flags & ADIT_PORT_FAST_PATH);
	for (v6 = 0; v6 < 2; v6++) {
		f = question(v6 ? LAN6 : LAN4, v6 ? FAR6 : FAR4);
		assert_int_equal(ask(&f, &a), XDP_PASS);
		assert_int_equal(a.result, BPF_FIB_LKUP_RET_SUCCESS);
		assert_int_equal(a.ifindex, bed.wan);
		assert_int_equal(a.slot, ADIT_NO_SLOT);
	}
}

static void tells_what_is_no_forward(void **state)
{
	static const struct {
		const char *dst;
		uint32_t result;
	} t[] = {
		{"10.1.1.1",	     BPF_FIB_LKUP_RET_NOT_FWDED  },
		{"2001:db8:11::1", BPF_FIB_LKUP_RET_NOT_FWDED  },
		{"10.1.1.99",      BPF_FIB_LKUP_RET_NO_NEIGH   },
		{"203.0.113.1",	BPF_FIB_LKUP_RET_UNREACHABLE},
	};
	struct adit_fib_answer a;
	struct frame f;
	size_t i;

	bed_needed(state);
	bed_reset(NULL);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		f = question(strchr(t[i].dst, ':') ? FAR6 : FAR4, t[i].dst);
		assert_int_equal(ask(&f, &a), XDP_PASS);
		assert_int_equal(a.result, t[i].result);
		assert_int_equal(a.slot, ADIT_NO_SLOT);
	}
	f = question(FAR4, LAN4);
	put16(f.b + 12, 0x0806);
	assert_int_equal(ask(&f, &a), XDP_DROP);
	f = question(FAR4, LAN4);
	f.len = 33;
	assert_int_equal(ask(&f, &a), XDP_DROP);
}

static void drop_privileges(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_setresuid, 65534, 65534, 65534) ||
	    syscall(SYS_capset, &head, none))
		_exit(2);
}

static void needs_no_privilege(void **state)
{
	struct adit_fib_answer a;
	struct frame f;
	int status;
	pid_t child;

	bed_needed(state);
	bed_reset(NULL);
	f = question(FAR4, LAN4);
	child = fork();
	if (!child) {
		drop_privileges();
		_exit(ask(&f, &a) == XDP_PASS && a.result == 0 && a.ifindex == (uint32_t)bed.lan ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_inside),	 cmocka_unit_test(tells_slots_and_tags),
		cmocka_unit_test(gives_no_slot_outside), cmocka_unit_test(tells_what_is_no_forward),
		cmocka_unit_test(needs_no_privilege),
	};

	return cmocka_run_group_tests_name("fib", tests, bed_open, bed_close);
}
