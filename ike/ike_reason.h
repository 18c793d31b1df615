/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a negotiation failed or an SA ended, and what came of ESP at our sockets (door.h): one list for records,
 * events, counters and documents.
 * X(symbol, name, sentence); the number is the place in the list, so new ones go to the end. */
#ifndef ADIT_IKE_REASON_H
#define ADIT_IKE_REASON_H

#define IKE_REASONS(X)                                                                                  \
	X(NONE, "none", "nothing is wrong")                                                             \
	X(PROPOSAL_IKE, "ike-proposal-mismatch", "no IKE proposal of ours and theirs agree")            \
	X(PROPOSAL_CHILD, "esp-proposal-mismatch", "no ESP proposal of ours and theirs agree")          \
	X(INVALID_KE, "dh-mismatch", "the ends do not agree on a Diffie-Hellman group")                 \
	X(KE_VALUE, "dh-value", "the peer's Diffie-Hellman value is not a valid one")                   \
	X(TS, "selector-mismatch", "the traffic selectors of the two ends do not overlap")              \
	X(AUTH, "auth-failed", "the peer did not prove its identity: wrong pre-shared key?")            \
	X(AUTH_REMOTE, "auth-refused", "the peer did not accept our identity or pre-shared key")        \
	X(ID, "id-mismatch", "the peer's identity is not the configured one")                           \
	X(NO_PEER, "no-peer", "no configured peer has this pair of addresses")                          \
	X(VERSION, "version-mismatch", "the message has an IKE version we do not speak")                \
	X(MALFORMED, "malformed", "the message breaks the rules of its format")                         \
	X(LENGTH, "invalid-length", "a length field does not fit the message")                          \
	X(PAYLOADS, "unexpected-payloads", "the message lacks a payload, or has one too many")          \
	X(CRITICAL, "critical-payload", "a payload marked critical is unknown")                         \
	X(EXCHANGE, "unknown-exchange", "the exchange type is unknown or not allowed now")              \
	X(COOKIE, "invalid-cookie", "the cookie returned is not one we handed out")                     \
	X(COOKIE_LOOP, "cookie-loop", "the peer keeps asking for another cookie or group")              \
	X(HALF_OPEN, "half-open-limit", "too many unfinished negotiations")                             \
	X(HALF_OPEN_SOURCE, "half-open-source", "too many unfinished negotiations from one address")    \
	X(SA_LIMIT, "sa-limit", "too many security associations")                                       \
	X(TIMEOUT, "no-response", "the peer does not answer")                                           \
	X(HALF_OPEN_TIMEOUT, "half-open-timeout", "the peer began a negotiation and did not finish it") \
	X(DPD, "dead-peer", "an established peer stopped answering")                                    \
	X(INTEGRITY, "integrity", "a protected message does not verify under our keys")                 \
	X(UNKNOWN_SPI, "unknown-spi", "no IKE SA has this SPI")                                         \
	X(DUPLICATE, "duplicate", "a request came again; the stored reply was repeated")                \
	X(MESSAGE_ID, "message-id", "the message ID is outside the window")                             \
	X(UNEXPECTED, "unexpected-response", "a response to nothing we asked")                          \
	X(PEER_ERROR, "peer-error", "the peer refused with an error of its own")                        \
	X(CHILD_GONE, "child-not-found", "the peer does not know the child SA")                         \
	X(TEMPORARY, "temporary-failure", "the peer is busy; tried again later")                        \
	X(NO_ADDITIONAL, "no-additional-sas", "the peer accepts no further child SA")                   \
	X(INSTALL, "install-failed", "the datapath did not take the child SA")                          \
	X(LIFETIME, "lifetime", "the lifetime ended")                                                   \
	X(REKEYED, "rekeyed", "replaced by a newer SA")                                                 \
	X(PEER_DELETE, "peer-delete", "the peer deleted it")                                            \
	X(OPERATOR, "operator", "ended by the operator or a changed configuration")                     \
	X(INITIAL_CONTACT, "initial-contact", "the peer restarted and announced a first contact")       \
	X(REDUNDANT, "redundant", "both ends negotiated at once; one of the two was enough")            \
	X(DATAPATH, "datapath-lost", "the datapath restarted without its keys")                         \
	X(SHUTDOWN, "shutdown", "the daemon stops")                                                     \
	X(NOMEM, "no-memory", "memory or randomness is short")                                          \
	X(CRYPTO, "crypto", "the crypto library refused an operation")                                  \
	X(UNAUTHENTICATED, "unauthenticated-error", "an unprotected error, noted but not believed")     \
	X(ESP_HANDED_ON, "esp-handed-on", "ESP that came by the kernel, given to the worker")           \
	X(ESP_DOOR_FULL, "esp-door-full", "ESP that came by the kernel, too fast for the worker")       \
	X(ESP_UNKNOWN, "esp-unknown-spi", "ESP that came by the kernel: no such SA here")               \
	X(ESP_MALFORMED, "esp-malformed", "ESP that came by the kernel, of an impossible length")       \
	X(ESP_ELSEWHERE, "esp-elsewhere", "ESP by way of an interface that has no policy")              \
	X(NO_KEY, "no-key", "the pre-shared key for the peer cannot be used")                           \
	X(BAD_PEER, "peer-unusable", "the peer's configuration cannot be used")

enum ike_reason {
#define X(symbol, name, sentence) IKE_WHY_##symbol,
	IKE_REASONS(X)
#undef X
		IKE_REASON_COUNT
};

const char *ike_reason_name(enum ike_reason why);
const char *ike_reason_sentence(enum ike_reason why);

#endif
