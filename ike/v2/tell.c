/* SPDX-License-Identifier: BSD-2-Clause */
/* Telling: events, counters and the last failure of every peer. */
#include "sa.h"

#include "log.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t now(const struct ike *ike)
{
	return ike->env.now_ms(ike->env.self);
}

void count(struct ike *ike, enum ike_reason why)
{
	ike->counters[why]++;
}

bool within(const struct ike *ike, struct budget *b)
{
	uint64_t t = now(ike);

	if (t - b->since_ms >= 1000) {
		b->since_ms = t;
		b->spent = 0;
	}
	if (b->spent >= STRANGERS_PER_S)
		return false;
	b->spent++;
	return true;
}

static void tell(const struct ike *ike, const struct ike_sa *sa, struct ike_event *e)
{
	if (!e->peer)
		e->peer = sa && sa->peer ? sa->peer->conf.name : "";
	if (sa) {
		e->spi_ours = sa->spi_ours;
		e->spi_theirs = sa->spi_theirs;
		e->local = &sa->local;
		e->remote = &sa->remote;
		e->we_initiated = sa->initiator;
	}
	ike->env.event(ike->env.self, e);
}

void tell_message(const struct ike *ike, const struct ike_sa *sa, bool sent, uint8_t exchange, bool response,
		  uint32_t id, unsigned retransmit, const char *text)
{
	struct ike_event e = {
		.kind = sent ? IKE_EVENT_SENT : IKE_EVENT_RECEIVED,
		.exchange = exchange,
		.response = response,
		.message_id = id,
		.retransmit = retransmit,
		.payloads = text,
	};

	tell(ike, sa, &e);
}

void tell_clear(struct ike *ike, const struct path *path, uint8_t exchange, uint32_t id, const char *text)
{
	struct ike_event e = {
		.kind = IKE_EVENT_SENT,
		.exchange = exchange,
		.response = true,
		.message_id = id,
		.payloads = text,
		.local = &path->local,
		.remote = &path->remote,
	};

	if (within(ike, &ike->echoes))
		tell(ike, NULL, &e);
}

void tell_sa(const struct ike *ike, const struct ike_sa *sa, enum ike_event_kind kind, enum ike_reason why)
{
	struct ike_event e = {.kind = kind, .why = why};

	tell(ike, sa, &e);
}

void tell_child(const struct ike *ike, const struct ike_sa *sa, const struct child *c,
		enum ike_event_kind kind, enum ike_reason why)
{
	struct ike_event e = {.kind = kind, .why = why, .child = &c->sa};

	tell(ike, sa, &e);
}

/* What an SA that is not up says about a peer that has one that is may be anybody's: it must not hide what is
 * known, nor make a standing tunnel look broken.  Of a barred peer the reason is known, whoever calls. */
void note_failure(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint8_t exchange,
		  enum ike_reason why, const char *detail)
{
	struct ike_failure *f = peer ? &peer->failure : &ike->nobody;
	bool doubtful = peer && peer_up(peer) && !(sa && sa->up_ms);

	if ((doubtful && f->current) || (peer && peer->barred))
		return;
	f->why = why;
	f->exchange = exchange;
	f->count = f->current ? f->count + 1 : 1;
	f->current = !doubtful;
	f->when_ms = now(ike);
	snprintf(f->detail, sizeof(f->detail), "%s", detail && detail[0] ? detail : ike_reason_sentence(why));
	if (peer)
		peer->failed = true;
	else
		ike->nobody_failed = true;
}

void tell_failure(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint8_t exchange,
		  uint32_t rule, enum ike_reason why, const char *detail)
{
	struct ike_event e = {
		.kind = IKE_EVENT_FAILED,
		.peer = peer ? peer->conf.name : "",
		.exchange = exchange,
		.rule = rule,
		.why = why,
		.detail = detail && detail[0] ? detail : ike_reason_sentence(why),
	};

	note_failure(ike, peer, sa, exchange, why, detail);
	tell(ike, sa, &e);
}

void tell_given_up(struct ike *ike, struct peer *peer, const struct ike_sa *sa, uint32_t rule,
		   enum ike_reason why)
{
	const struct ike_failure *f = &peer->failure;
	struct ike_event e = {
		.kind = IKE_EVENT_FAILED, .peer = peer->conf.name, .rule = rule, .why = why, .final = true};

	if (!f->current || f->why != why)
		note_failure(ike, peer, sa, 0, why, NULL);
	e.exchange = f->why == why ? f->exchange : 0;
	e.detail = f->why == why ? f->detail : ike_reason_sentence(why);
	tell(ike, sa, &e);
}

void refuse(struct outcome *out, enum ike_reason why, const char *fmt, ...)
{
	va_list ap;

	out->why = why;
	va_start(ap, fmt);
	vsnprintf(out->detail, sizeof(out->detail), fmt, ap);
	va_end(ap);
}

const char *ike_exchange_name(uint8_t exchange)
{
	switch (exchange) {
	case EXCH_INIT:
		return "IKE_SA_INIT";
	case EXCH_AUTH:
		return "IKE_AUTH";
	case EXCH_CHILD:
		return "CREATE_CHILD_SA";
	case EXCH_INFO:
		return "INFORMATIONAL";
	}
	return "?";
}
