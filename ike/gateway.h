/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the ike process share: one gateway, its engine, its datapath, its configuration. */
#ifndef ADIT_IKE_GATEWAY_H
#define ADIT_IKE_GATEWAY_H

#include <event2/event.h>

#include "process.h"

struct control;

struct gateway {
	const struct ike_setup *setup;
	const struct conf *conf;
	struct event_base *loop;
	struct event *timer;
	struct ike *ike;
	struct datapath *dp;
	struct control *control;
	int64_t loaded_unix; /* when the configuration was read */
	struct {
		uint64_t count, last_ms, logged_ms;
	} unknown_spi;
};

/* After anything that may have moved the engine's next deadline. */
void gateway_rearm(struct gateway *g);

/* ike/peers.c: the configuration in the engine's words.  Fails only where nothing could go on: a peer that cannot
 * be served is barred, with its reason. */
int peers_add_all(struct gateway *g);
/* For struct ike_env. */
void peers_route(void *self, const struct addr *remote, struct addr *ret);

/* ike/journal.c: events of the engine as log lines and as lines for whoever waits on the control socket. */
void journal_event(struct gateway *g, const struct ike_event *e);

#endif
