/* SPDX-License-Identifier: BSD-2-Clause */
/* The Security Association payload: what is offered, what is chosen (RFC 7296 2.7, 3.3). */
#ifndef ADIT_IKE_V2_PROPOSAL_H
#define ADIT_IKE_V2_PROPOSAL_H

#include "message.h"

#define PROPOSAL_TEXT_MAX 200

struct suite {
	uint8_t protocol, number;
	uint16_t encr, encr_bits, prf, integ, dh; /* 0 where there is none */
	bool esn;
	bool esn_offered; /* the type was named: an answer has to name it too, and only then */
};

/* A list as we are configured to offer or accept it. */
struct proposals {
	uint8_t protocol, n;
	struct ike_proposal p[IKE_MAX_PROPOSALS];
};

void proposals_ike(const struct ike_peer_conf *peer, struct proposals *ret);
/* dh: DH_NONE for the child of IKE_AUTH, which has no exchange of its own (RFC 7296 1.2). */
void proposals_child(const struct ike_child_conf *child, uint16_t dh, struct proposals *ret);
bool proposals_have_dh(const struct proposals *ours, uint16_t group);
uint16_t proposals_first_dh(const struct proposals *ours);

/* As the responder: our order decides.  spi is the one of their proposal.
 * -EBADMSG malformed, -ENOENT nothing agrees. */
int proposal_select(struct span sa, const struct proposals *ours, size_t spi_len, struct suite *ret,
		    struct span *spi);
/* As the initiator: exactly one proposal, one transform of each type, all of them ours. */
int proposal_accepted(struct span sa, const struct proposals *ours, size_t spi_len, struct suite *ret,
		      struct span *spi);

void proposals_write(struct chain *c, const struct proposals *ours, const void *spi, size_t spi_len);
void proposal_write_chosen(struct chain *c, const struct suite *s, const void *spi, size_t spi_len);

/* Both sides of a mismatch, printable: "aes-cbc-256/prf-sha256/.../ecp-256, ...". */
void proposals_text(const struct proposals *ours, char buf[PROPOSAL_TEXT_MAX]);
void proposal_offer_text(struct span sa, char buf[PROPOSAL_TEXT_MAX]);

static inline bool encr_is_aead(uint16_t encr)
{
	return encr == ENCR_AES_GCM_16;
}

#endif
