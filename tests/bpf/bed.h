/* SPDX-License-Identifier: BSD-2-Clause */
/* A network namespace of the test's own with the interfaces of a gateway, the loaded programs and their maps.
 *
 *   lan0  10.1.1.1/24, 2001:db8:11::1/64      inside       routes: default and 2001:db8::/32 by wan0
 *   wan0  192.0.2.1/24, 2001:db8:1::1/64      policy       peers 198.51.100.1, 2001:db8:ff::1 behind .254
 *   adit0/adit1                               internal pair
 *
 * The frames go in by BPF_PROG_TEST_RUN; sockets on wan0, lan0 and adit1 make redirects possible.
 */
#ifndef TEST_BED_H
#define TEST_BED_H

#include "frame.h"
#include "adit.skel.h"

#include <adit/fib.h>
#include <adit/maps.h>
#include <adit/note.h>
#include <adit/reasons.h>
#include <linux/if_ether.h>

#define SLOT_WAN      0
#define SLOT_LAN      1
#define SLOT_INTERNAL 2

#define POLICY_WAN  77 /* of wan0, and of rules unless they say otherwise */
#define POLICY_VLAN 78

#define OUR4  "192.0.2.1"
#define OUR6  "2001:db8:1::1"
#define PEER4 "198.51.100.1"
#define PEER6 "2001:db8:ff::1"
#define LAN4  "10.1.1.5"
#define LAN6  "2001:db8:11::5"
#define FAR4  "10.1.2.9"
#define FAR6  "2001:db8:22::9"

/* What adit_egress and adit_ingress say of a packet that they let pass. */
#define TC_PASS ((uint32_t)TC_ACT_UNSPEC)

struct bed {
	struct adit_bpf *skel;
	int wan, lan, adit0, adit1;
	int many; /* many0: a veth with more receive queues than ADIT_QUEUES_MAX */
	int vlan; /* ifindex of a VLAN device that exists in the maps only */
	int socket[3];
	int empty; /* an XDP program that passes everything */
	uint8_t wan_mac[6], lan_mac[6], adit0_mac[6], gateway_mac[6];
	enum adit_action
		rest; /* what bed_rules does with everything else: ADIT_REST_BYPASS unless a test wants the other */
	uint32_t generation;
	uint64_t before[ADIT_REASON_COUNT];
};

extern struct bed bed;

/* cmocka group fixtures; when bpf() is not permitted every test skips itself by calling bed_needed() first.
 */
int bed_open(void **state);
int bed_close(void **state);
/* Maps as after bed_open; 1 when there are none because bpf() is not permitted. */
int bed_reset(void **state);
void bed_needed(void **state);
void bed_run(const char *command); /* a shell command that must succeed */

struct result {
	uint32_t verdict;
	uint8_t b[4096]; /* metadata first */
	size_t len;
	size_t meta; /* octets of metadata */
};

/* Runs a frame through a program as if it arrived on ifindex. */
struct result bed_xdp(struct bpf_program *prog, const struct frame *f, int ifindex);
/* Likewise, on one receive queue of it. */
struct result bed_xdp_queue(struct bpf_program *prog, const struct frame *f, int ifindex, uint32_t queue);
/* Leaving ifindex (or arriving there, as the program is meant), having come in by from (0 = local); gso_size
 * 0 = no GSO skb. */
struct result bed_tc(struct bpf_program *prog, const struct frame *f, int ifindex, int from,
		     uint32_t gso_size);

/* The frame behind the note, and the note. */
const uint8_t *result_frame(const struct result *r, size_t *len);
struct adit_note result_note(const struct result *r);

uint64_t reason_count(enum adit_reason why);
void reasons_mark(void);
/* Exactly this one was counted once since reasons_mark, besides those in also. */
void expect_reason(enum adit_reason why, enum adit_reason also);

struct adit_addr addr_of(const char *text);
struct adit_addr mask_of(const char *text, unsigned len);
/* "10.1.1.0/24" on both sides, all ports. */
struct adit_rule rule_of(uint32_t id, enum adit_action action, const char *local, const char *remote,
			 uint8_t protocol);
void bed_rules(const struct adit_rule *rules, uint32_t n);
struct adit_sa_out sa_of(uint32_t index, const char *local, const char *remote);
/* Take one away, or put it back, behind the programs' back: no new generation. */
void bed_rule_row(uint32_t position, const struct adit_rule *rule);
void bed_sa(uint32_t rule, const struct adit_sa_out *sa);
void bed_sa_in(uint32_t spi, uint32_t index, const char *local);
void bed_generation(void); /* raise it */
void bed_port(int ifindex, const struct adit_port *port);
struct adit_port bed_port_get(int ifindex);
/* As if it were a VLAN device above another: id 0 = without a tag. */
void bed_port_tagged(int ifindex, uint16_t type, uint16_t id);
struct adit_host bed_host_get(void);
void bed_host(const struct adit_host *host);
void bed_socket(int slot, bool there); /* take a worker's socket away, or give it back */

#endif
