/* SPDX-License-Identifier: BSD-2-Clause */
/* The ike process: the protocol engine with sockets, clock, maps and a control socket around it.
 *
 * It parses what strangers send and therefore owns nothing else: no capability, its own account, few system
 * calls.  The parent opens everything named in struct ike_setup and forks; the child calls ike_run.
 */
#ifndef ADIT_IKE_PROCESS_H
#define ADIT_IKE_PROCESS_H

#include <net/if.h>
#include <stdint.h>

#include "conf.h"
#include "datapath.h"

#define IKE_SOCKETS 4 /* ports 500 and 4500 of IPv4 and IPv6; -1 where the host has no such family */
#define ESP_SOCKETS 2 /* raw ESP of IPv4 and IPv6; the same */

/* Facts of the parent that `adit show interface` prints; a page that both share, written by the parent.
 * Texts may be seen half written by a reader of bad luck: they only ever reach a screen. */
struct host_shared {
	uint32_t ports;
	struct host_port {
		char name[IFNAMSIZ];
		uint32_t ifindex, mtu, queues;
		uint8_t mac[6];
		uint8_t outside;   /* else inside */
		uint8_t fast_path; /* in force now */
		char why[112];	   /* of the fast path's state */
		char xdp[32];	   /* "native", "generic", "off", "foreign: NAME" */
		char xdp_why[96];  /* why it cannot be "native", "" when it could */
		char xsk[12];	   /* "copy", "zerocopy", "none" */
		char tc[8];	   /* "tcx", "clsact"; "off" where none is needed, or not yet */
	} port[ADIT_PORTS_MAX];
};

/* What the parent knows to be wrong (daemon/warnings.h), for `adit status`: every text that is not empty. */
#define WARNINGS_MAX	  32
#define WARNING_TEXT_SIZE 900 /* with the closing NUL; the log's line holds one whole */
struct warnings_shared {
	uint32_t more; /* there is no room for another one that stands */
	char text[WARNINGS_MAX][WARNING_TEXT_SIZE];
};

struct ike_setup {
	const char *instance;
	const char *user;	  /* account to become, "adit-ike" */
	struct conf *conf;	  /* secrets are read by the child, before it gives up its rights */
	int sockets[IKE_SOCKETS]; /* UDP, bound: 500 v4, 4500 v4, 500 v6, 4500 v6 */
	int esp_sockets[ESP_SOCKETS];
	int control_fd; /* listening */
	int parent_fd;	/* SOCK_SEQPACKET, msg.h */
	struct datapath_fds fds;
	const struct host_shared *host;
	const struct warnings_shared *warnings;
	const char *crypto;	 /* what engines there are, in words */
	const char *crypto_note; /* how it could be faster; NULL */
	uint64_t started_ms;	 /* CLOCK_MONOTONIC of the parent's start */
};

/* Returns only when it cannot start or has to end: the exit status. */
int ike_run(const struct ike_setup *setup);

#endif
