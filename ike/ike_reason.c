/* SPDX-License-Identifier: BSD-2-Clause */
#include "ike_reason.h"

static const struct {
	const char *name, *sentence;
} reasons[] = {
#define X(symbol, name, sentence) {name, sentence},
	IKE_REASONS(X)
#undef X
};

const char *ike_reason_name(enum ike_reason why)
{
	return (unsigned)why < IKE_REASON_COUNT ? reasons[why].name : "?";
}

const char *ike_reason_sentence(enum ike_reason why)
{
	return (unsigned)why < IKE_REASON_COUNT ? reasons[why].sentence : "?";
}
