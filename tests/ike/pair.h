/* SPDX-License-Identifier: BSD-2-Clause */
/* Two complete ends in one process: a clock that only moves when told, randomness that repeats, and a wire on
 * which every datagram can be lost, doubled, held back or changed.  NAT boxes may stand in front of either.
 */
#ifndef ADIT_TESTS_IKE_PAIR_H
#define ADIT_TESTS_IKE_PAIR_H

#include "help.h"

#include "ike.h"

#define WIRE_MAX 256
#define KIDS_MAX 64

struct kid { /* a child as the datapath of one end sees it */
	struct child_sa sa;
	bool in, out;
	uint64_t out_seq; /* the highest of a rule carries */
};

struct pair;

struct end {
	struct pair *pair;
	struct ike *ike;
	struct addr addr;
	uint64_t random;
	uint32_t next_spi;
	unsigned spis_out; /* allocated and neither installed nor given back */
	struct kid kids[KIDS_MAX];
	unsigned n_kids;
	int fail_install;	 /* this many of the next IKE_IN fail */
	int fail_out;		 /* and of the next IKE_OUT */
	unsigned sent, received; /* events of messages */
	unsigned finals;	 /* failures that were */
	uint32_t final_rule;
	unsigned ups, downs, child_ups, child_downs, failures, retransmits, keepalives, moved;
	enum ike_reason why;	   /* of the last failure */
	enum ike_reason child_why; /* of the last child that went */
	enum ike_reason down_why;
	bool natted;	     /* a NAT box is in front of it */
	struct addr outside; /* its public address */
	uint16_t nat_shift;  /* added to ports */
};

struct datagram {
	struct endpoint from, to;
	size_t len;
	uint8_t octets[4608];
};

enum fate { PASS, LOSE, TWICE };

struct pair {
	uint64_t now;
	struct end e[2];
	struct datagram wire[WIRE_MAX];
	unsigned n_wire;
	unsigned count; /* datagrams that met the fate function */
	unsigned overflow;
	enum fate (*fate)(struct pair *p, struct datagram *d);
	int target; /* for fate functions */
	uint64_t seq;
};

/* What the two ends are configured with before pair_start: change it in between. */
struct plan {
	struct ike_peer_conf peer[2];
	struct ike_child_conf child[2][4];
	struct ike_limits limits[2];
};

void plan_default(struct plan *plan);
/* The same with a second rule, 20, between two other LANs. */
void plan_two_children(struct plan *plan);
void plan_proposal(struct ike_proposal *p, const char *text); /* "E20/256P5D31" */
struct ike_ts plan_ts(const char *prefix);
struct ike_id plan_id(uint8_t type, const char *text);

void pair_start(struct pair *p, const struct plan *plan, uint64_t seed);
void pair_stop(struct pair *p);
bool pair_deliver(struct pair *p,
		  unsigned i); /* the i-th on the wire; false when it was lost or unroutable */
void pair_run(struct pair *p); /* until the wire is empty */
void pair_pass_time(struct pair *p, uint64_t ms); /* delivering and ticking */

unsigned count_sas(struct end *e, enum ike_state state);
unsigned count_kids(struct end *e);		    /* installed both ways */
struct kid *carrying(struct end *e, uint32_t rule); /* the one that sends */

/* Both ends have n children installed, their keys, SPIs and selectors are mirror images, nothing is left
 * over. */
void assert_children(struct pair *p, unsigned n);
/* Exactly one IKE SA up at both ends. */
void assert_one_sa(struct pair *p);

#endif
