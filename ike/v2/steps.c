/* SPDX-License-Identifier: BSD-2-Clause */
/* The protocol as rows.  A message meets the first row of its state and exchange whose needed payloads it has
 * and whose forbidden ones it lacks; other payloads are ignored, as peers send more than we know (a MikroTik
 * puts CP into rekeys).  "then" is where the SA stands afterwards unless the handler says otherwise; an end is
 * never a row's to name, as sa_end has work to do (drop_ike asks for it). */
#include "sa.h"

#define B(type) MSG_BIT(PL_##type)
#define CHILD	(B(SA) | B(NONCE) | B(TSI) | B(TSR))
#define REQ	false
#define RSP	true

static const struct step steps[] = {
	/* clang-format off */
	/* on          exchange   dir  needs                               never            run             then */
	{SA_NEW,       EXCH_INIT,  REQ, B(SA) | B(KE) | B(NONCE),           B(SK),           answer_init,    SA_HALF_OPEN},
	{SA_INIT_SENT, EXCH_INIT,  RSP, B(SA) | B(KE) | B(NONCE),           B(SK),           heard_init,     SA_AUTH_SENT},
	{SA_INIT_SENT, EXCH_INIT,  RSP, B(NOTIFY),                          B(SK) | B(SA),   heard_init_no,  SA_INIT_SENT},

	{SA_HALF_OPEN, EXCH_AUTH,  REQ, B(IDI) | B(AUTH) | B(SA) | B(TSI) | B(TSR), B(EAP),  answer_auth,    SA_UP},
	{SA_AUTH_SENT, EXCH_AUTH,  RSP, B(IDR) | B(AUTH),                   B(EAP),          heard_auth,     SA_UP},
	{SA_AUTH_SENT, EXCH_AUTH,  RSP, B(NOTIFY),                          B(AUTH) | B(SA), heard_auth_no,  SA_AUTH_SENT},

	{SA_UP,        EXCH_CHILD, REQ, CHILD,                              B(DELETE),       answer_child,   SA_UP},
	{SA_UP,        EXCH_CHILD, REQ, B(SA) | B(NONCE),                   B(DELETE),       answer_rekey,   SA_UP},
	{SA_UP,        EXCH_CHILD, RSP, CHILD,                              B(DELETE),       heard_child,    SA_UP},
	{SA_UP,        EXCH_CHILD, RSP, B(SA) | B(NONCE) | B(KE),           B(DELETE),       heard_rekey,    SA_UP},
	{SA_UP,        EXCH_CHILD, RSP, 0,                                  B(SA),           heard_child_no, SA_UP},
	{SA_UP,        EXCH_INFO,  REQ, 0,                                  0,               answer_info,    SA_UP},
	{SA_UP,        EXCH_INFO,  RSP, 0,                                  0,               heard_info,     SA_UP},

	{SA_REKEYED,   EXCH_CHILD, REQ, 0,                                  0,               answer_busy,    SA_REKEYED},
	{SA_REKEYED,   EXCH_CHILD, RSP, B(SA) | B(NONCE) | B(KE),           B(TSI) | B(TSR), heard_rekey,    SA_REKEYED},
	{SA_REKEYED,   EXCH_CHILD, RSP, 0,                                  B(SA),           heard_child_no, SA_REKEYED},
	{SA_REKEYED,   EXCH_INFO,  REQ, 0,                                  0,               answer_info,    SA_REKEYED},
	{SA_REKEYED,   EXCH_INFO,  RSP, 0,                                  0,               heard_info,     SA_REKEYED},

	{SA_CLOSING,   EXCH_CHILD, REQ, 0,                                  0,               answer_busy,    SA_CLOSING},
	{SA_CLOSING,   EXCH_INFO,  REQ, 0,                                  0,               answer_info,    SA_CLOSING},
	{SA_CLOSING,   EXCH_INFO,  RSP, 0,                                  0,               heard_info,     SA_CLOSING},
	/* clang-format on */
};

const struct step *step_find(enum sa_state on, const struct msg *m)
{
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct step *s = &steps[i];

		if (s->on == on && s->exchange == m->h.exchange && s->response == msg_is_response(m) &&
		    (m->have & s->needs) == s->needs && !(m->have & s->never))
			return s;
	}
	return NULL;
}

bool step_possible(enum sa_state on, uint8_t exchange)
{
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].on == on && steps[i].exchange == exchange && !steps[i].response)
			return true;
	return false;
}
