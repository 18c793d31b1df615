/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz-sources: ike/ike_reason.c ike/v2/message.c ike/v2/proposal.c ike/v2/ts.c */
/* Everything that reads a stranger's octets before and after decryption: no input may crash it, and what it
 * accepts must stay inside its buffers. */
#include "v2/message.h"
#include "v2/proposal.h"
#include "v2/ts.h"

static void look(const struct msg *m)
{
	static const struct ike_proposal all = {
		.n = 8,
		.t = {{1, 20, 256},
		      {1, 12, 128},
		      {2, 5, 0},
		      {3, 12, 0},
		      {4, 31, 0},
		      {4, 0, 0},
		      {5, 1, 0},
		      {5, 0, 0}}
	};
	struct proposals ours = {.n = 1, .p = {all}};
	char text[PROPOSAL_TEXT_MAX];
	struct ike_ts narrowed[IKE_MAX_TS];
	struct ts_list list;
	struct suite s;
	struct span spi;

	for (ours.protocol = PROTO_IKE; ours.protocol <= PROTO_ESP; ours.protocol++) {
		proposal_select(m->sa, &ours, ours.protocol == PROTO_ESP ? 4 : 0, &s, &spi);
		proposal_accepted(m->sa, &ours, ours.protocol == PROTO_ESP ? 4 : 0, &s, &spi);
	}
	proposal_offer_text(m->sa, text);
	if (!ts_parse(m->tsi, &list)) {
		unsigned n = ts_narrow(&list, list.ts, list.n, narrowed, IKE_MAX_TS);

		ts_text(narrowed, n, text);
		if (n > IKE_MAX_TS || !ts_list_contains(list.ts, list.n, narrowed, n))
			__builtin_trap();
	}
	ts_parse(m->tsr, &list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg m;

	if (msg_parse_header(data, size, &m) == 0 &&
	    msg_parse_chain(&m, m.h.next, (struct span){data + IKE_HEADER_LEN, size - IKE_HEADER_LEN}) == 0)
		look(&m);
	/* As if it had been decrypted: the chain alone, its first type in front. */
	if (size > 1 && msg_parse_header(data, size, &m) != 0 &&
	    msg_parse_chain(&m, data[0], (struct span){data + 1, size - 1}) == 0)
		look(&m);
	return 0;
}
