// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "gateway.h"
#include "log.h"

static const char *peer_of(const struct ike_event *e)
{
	return e->peer && *e->peer ? e->peer : "(unknown peer)";
}

/* "-> hq 2.1.1.1:500 IKE_SA_INIT request 0 [SA KE No N(NAT_DETECTION_SOURCE_IP)]" */
static void message_line(const struct ike_event *e, const char *remote, char *line, size_t size)
{
	char again[32] = "";

	if (e->retransmit)
		snprintf(again, sizeof(again), ", retransmit %u", e->retransmit);
	snprintf(line, size, "%s %s %s %s %s %u%s [%s]", e->kind == IKE_EVENT_SENT ? "->" : "<-", peer_of(e),
		 remote, ike_exchange_name(e->exchange), e->response ? "response" : "request", e->message_id,
		 again, e->payloads ? e->payloads : "");
}

static void ranges_text(const struct ike_ts *ts, unsigned n, char *text, size_t size)
{
	char one[RANGE_STRLEN];
	size_t at = 0;
	unsigned i;

	*text = '\0';
	for (i = 0; i < n && at < size; i++) {
		int len = snprintf(text + at, size - at, "%s%s", i ? "," : "", range_str(&ts[i].addrs, one));

		at += len > 0 ? (size_t)len : 0;
	}
}

static void child_line(const struct ike_event *e, bool up, char *line, size_t size)
{
	char local[256], remote[256];
	const struct child_sa *c = e->child;

	if (!up) {
		snprintf(line, size, "%s: child SA %s down: %s%s%s", peer_of(e), c->name,
			 ike_reason_sentence(e->why), e->detail && *e->detail ? ": " : "",
			 e->detail ? e->detail : "");
		return;
	}
	ranges_text(c->local_ts, c->n_local, local, sizeof(local));
	ranges_text(c->remote_ts, c->n_remote, remote, sizeof(remote));
	snprintf(line, size, "%s: child SA %s up: %s%s%s, SPI in 0x%08x out 0x%08x, %s === %s", peer_of(e),
		 c->name, c->udp_encap ? "ESP in UDP" : "ESP", c->esn ? ", ESN" : "", "", c->spi_in,
		 c->spi_out, local, remote);
}

/* The engine has given up: whoever waits for the rule (0: any of the peer's) learns why. */
static void settle_failed(struct gateway *g, const struct ike_event *e, const char *why)
{
	size_t i;

	for (i = 0; i < g->conf->n_rules; i++) {
		const struct conf_rule *r = &g->conf->rules[i];

		if (r->match->permit && (!e->rule || e->rule == r->id) &&
		    strcmp(r->entry->peer->name, e->peer) == 0) {
			control_settled(g->control, e->peer, r->id, false, why);
			datapath_discard(g->dp, r->id);
		}
	}
}

void journal_event(struct gateway *g, const struct ike_event *e)
{
	char line[1024], remote[ADDR_STRLEN] = "?";
	bool progress = true;

	if (e->remote)
		endpoint_str(e->remote, remote);
	switch (e->kind) {
	case IKE_EVENT_SENT:
	case IKE_EVENT_RECEIVED:
		message_line(e, remote, line, sizeof(line));
		log_info("%s", line);
		break;
	case IKE_EVENT_UP:
		snprintf(line, sizeof(line), "%s: IKE SA up with %s", peer_of(e), remote);
		log_info("%s", line);
		break;
	case IKE_EVENT_DOWN:
		snprintf(line, sizeof(line), "%s: IKE SA with %s down: %s", peer_of(e), remote,
			 ike_reason_sentence(e->why));
		log_info("%s", line);
		break;
	case IKE_EVENT_CHILD_UP:
	case IKE_EVENT_CHILD_DOWN:
		child_line(e, e->kind == IKE_EVENT_CHILD_UP, line, sizeof(line));
		log_info("%s", line);
		break;
	case IKE_EVENT_FAILED:
		snprintf(line, sizeof(line), "%s: failed%s%s: %s%s%s", peer_of(e), e->remote ? " with " : "",
			 e->remote ? remote : "", ike_reason_sentence(e->why),
			 e->detail && *e->detail ? ": " : "", e->detail ? e->detail : "");
		log_warn("%s", line);
		break;
	default:
		progress = false;
		break;
	}
	if (!progress)
		return;
	control_progress(g->control, e->peer, line);
	if (e->kind == IKE_EVENT_CHILD_UP)
		control_settled(g->control, e->peer, e->child->rule, true, NULL);
	else if (e->kind == IKE_EVENT_CHILD_DOWN && e->why != IKE_WHY_REKEYED && e->why != IKE_WHY_REDUNDANT)
		control_settled(g->control, e->peer, e->child->rule, false, line);
	else if (e->kind == IKE_EVENT_FAILED && e->final && e->peer && *e->peer)
		settle_failed(g, e, line);
}
