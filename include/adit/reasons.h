/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Every way out, once: the number counts it, the name stands in `adit show statistics`, the sentence explains it.
 * Reasons of the IKE protocol itself are in ike/ike_reason.h. */
#ifndef ADIT_REASONS_H
#define ADIT_REASONS_H

#define ADIT_REASONS(X)                                                                                      \
	/* bpf: left to the kernel */                                                                         \
	X(PASS_NOT_IP,         "pass-not-ip",         "not IP (ARP, LLDP...): the kernel's business")            \
	X(PASS_IKE,            "pass-ike",            "IKE for the daemon")                                      \
	X(PASS_DISCOVERY,      "pass-neighbour-discovery", "neighbour discovery on its link: no rule is asked")   \
	X(PASS_LINK_LOCAL,     "pass-link-local",     "stays on its link (DHCP, OSPF...): no rule is asked")  \
	X(PASS_CLEAR,          "pass-clear",          "no rule wants it protected")                              \
	X(PASS_RULE,           "pass-rule",           "a deny rule lets it pass in clear")                       \
	X(PASS_GENERAL,        "pass-general",        "protected, but left to the general path through the kernel") \
	X(PASS_NO_FAST_PATH,   "pass-no-fast-path",   "the fast path is off on this port")                       \
	X(PASS_FRAGMENT,       "pass-fragment",       "fragment for us: the kernel reassembles")                 \
	X(PASS_OWN_ESP,        "pass-own-esp",        "our own ESP leaving through the kernel")                  \
	X(PASS_TRANSIT_ESP,    "pass-transit-esp",    "somebody else's ESP on its way through")                  \
	X(PASS_OUTER_ERROR,    "pass-outer-error",    "ICMP error of a router on the way, about our own IKE or ESP") \
	X(PASS_SLOW_ESP,       "pass-slow-esp",       "ESP for us on a port without XDP: ike gives it to the worker") \
	/* bpf: handed on */                                                                                  \
	X(TO_WORKER_SEAL,      "to-worker-seal",      "envelope written, given to the worker to seal")           \
	X(TO_WORKER_OPEN,      "to-worker-open",      "ESP with a known SPI, given to the worker to open")       \
	X(TO_WORKER_HOLD,      "to-worker-hold",      "protected but no SA yet: waits in the worker")            \
	X(TO_INTERNAL,         "to-internal",         "protected: taken from the policy interface into adit0")   \
	X(TOO_BIG_TOLD,        "too-big-told",        "does not fit the tunnel: ICMP sent to the sender")        \
	X(MSS_CLAMPED,         "mss-clamped",         "TCP SYN whose MSS was lowered to fit the tunnel")         \
	/* bpf: dropped */                                                                                    \
	X(DROP_RUNT,           "drop-runt",           "shorter than its headers say")                            \
	X(DROP_MALFORMED,      "drop-malformed",      "headers that contradict each other")                      \
	X(DROP_KEEPALIVE,      "drop-keepalive",      "NAT keepalive, done its work (RFC 3948 2.3)")             \
	X(DROP_UNKNOWN_SPI,    "drop-unknown-spi",    "ESP for us with an SPI that we never handed out or have given up") \
	X(DROP_FRONT_RECHECK,  "drop-front-recheck",  "arrived in clear although policy says protected")         \
	X(DROP_RULE,           "drop-rule",           "a rule says discard")                                     \
	X(DROP_UNMATCHED,      "drop-unmatched",      "no rule matches and the policy drops such packets")       \
	X(DROP_NO_POLICY,      "drop-no-policy",      "on a policy interface whose rules are not known (yet)")      \
	X(DROP_RULES_CHANGE,   "drop-rules-change",   "looked at the rules while they were being exchanged")     \
	X(DROP_NO_SA,          "drop-no-sa",          "protected, but there is no SA and it cannot wait")        \
	X(DROP_NARROWED,       "drop-narrowed",       "the peer narrowed the selectors; this packet is outside them") \
	X(DROP_TOO_BIG,        "drop-too-big",        "does not fit the tunnel and nobody can be told")          \
	X(DROP_NO_ROUTE,       "drop-no-route",       "no route to the peer")                                    \
	X(DROP_NO_WORKER,      "drop-no-worker",      "protected, but no worker takes it: it is starting or has died") \
	X(DROP_NO_ROOM,        "drop-no-room",        "no headroom for the envelope")                            \
	X(DROP_NOT_PROTECTED,  "drop-not-protected",  "on the internal port, but no rule protects it")           \
	X(DROP_TURNED_BACK,    "drop-turned-back",    "of a protected flow, but the wrong way round: decrypted and without a way into the LAN") \
	X(DROP_ICMP_CLEAR,     "drop-icmp-clear",     "ICMP error that quotes a protected packet and cannot go into its SA") \
	X(DROP_ICMP_QUOTE,     "drop-icmp-quote",     "ICMP error that quotes no packet one could read")         \
	X(DROP_ICMP_FORGED,    "drop-icmp-forged",    "ICMP error in clear about a packet that never went in clear") \
	/* worker */                                                                                          \
	X(SEALED,              "sealed",              "encrypted and sent")                                      \
	X(OPENED_FAST,         "opened-fast",         "decrypted and sent straight out of an inside port")       \
	X(OPENED_KERNEL,       "opened-kernel",       "decrypted and given to the kernel on adit0")              \
	X(SENT_AS_IS,          "sent-as-is",          "what BPF made (ICMP for a sender), put on its way")       \
	X(HELD,                "held",                "waiting for its SA")                                      \
	X(RELEASED,            "released",            "waited and was sent when the SA came up")                 \
	X(DUMMY,               "dummy",               "dummy packet of the peer (RFC 4303 2.6), dropped as it should be") \
	X(CHECKSUM_FINISHED,   "checksum-finished",   "unfinished TCP/UDP checksum completed before sealing")    \
	X(PEER_MOVED,          "peer-moved",          "authentic packet from a new outer address or port")       \
	X(FRAGMENTED,          "fragmented",          "inner packet fragmented before encryption")               \
	X(DROP_NO_NOTE,        "drop-no-note",        "frame without a valid note")                              \
	X(DROP_ESP_LENGTH,     "drop-esp-length",     "ESP packet of a length that its suite cannot make")       \
	X(DROP_TOO_LONG,       "drop-too-long",       "once the kernel had reassembled it, longer than a frame or adit0 takes") \
	X(DROP_ENGINE,         "drop-engine",         "the crypto library refused to work")                      \
	X(DROP_STALE_SA,       "drop-stale-sa",       "its SA is gone")                                          \
	X(DROP_REPLAY,         "drop-replay",         "sequence number seen before or too old (RFC 4303 3.4.3)")   \
	X(DROP_INTEGRITY,      "drop-integrity",      "ICV wrong: damaged, forged, or keys/algorithms differ")   \
	X(DROP_PADDING,        "drop-padding",        "padding or lengths inside are wrong after decryption")    \
	X(DROP_INNER,          "drop-inner",          "what was inside is not a valid IP packet")                \
	X(DROP_SELECTOR,       "drop-selector",       "inner packet outside the SA's selectors (RFC 4301 5.2)")  \
	X(DROP_ECN,            "drop-ecn",            "outer CE on an inner packet that cannot carry it (RFC 6040 4.2)") \
	X(DROP_SEQ_EXHAUSTED,  "drop-seq-exhausted",  "no sequence number left in this SA")                      \
	X(DROP_TTL,            "drop-ttl",            "hop limit ends here")                                     \
	X(DROP_HOLD_FULL,      "drop-hold-full",      "too many packets wait for SAs already")                   \
	X(DROP_HOLD_TIMEOUT,   "drop-hold-timeout",   "waited for an SA that did not come in time")              \
	X(DROP_TX_FULL,        "drop-tx-full",        "the port's send ring is full")                            \
	X(DROP_NO_FRAME,       "drop-no-frame",       "no free frame")                                           \
	X(DROP_NO_PORT,        "drop-no-port",        "the port it should leave by is gone")

enum adit_reason {
	ADIT_REASON_NONE,
#define X(e, name, sentence) ADIT_##e,
	ADIT_REASONS(X)
#undef X
	ADIT_REASON_COUNT
};

#endif
