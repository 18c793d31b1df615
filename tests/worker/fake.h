// SPDX-License-Identifier: BSD-2-Clause
/* A worker without a network: memory with a label on every chunk that says who has it, and lists of what was
 * sent where and told to whom.  A frame handed on twice, or one that nobody had, fails the test. */
#ifndef WORKER_FAKE_H
#define WORKER_FAKE_H

#include "help.h"
#include "work.h"

#define FAKE_CHUNKS 2048
#define FAKE_SENT   4096
#define FAKE_EVENTS 64
#define FAKE_SLOTS  8
#define FAKE_KNOCKS 300

enum fake_where { FREE, WAITING_RX, LOOP, SENT };

struct fake {
	struct work work;
	uint8_t *memory;
	enum fake_where where[FAKE_CHUNKS];
	struct frame rx[FAKE_CHUNKS];
	uint32_t n_rx;
	struct frame sent[FAKE_SENT];
	uint32_t sent_slot[FAKE_SENT];
	uint32_t n_sent;
	uint32_t ring;	/* how many a call of send takes */
	uint32_t slots; /* those below have a port */
	union adit_msg events[FAKE_EVENTS];
	uint32_t n_events;
	bool deaf; /* ike's socket is full */
	union adit_msg commands[FAKE_EVENTS];
	uint32_t n_commands, next_command;
	bool gone;
	_Alignas(8) uint8_t knock[FAKE_KNOCKS][4096]; /* what ike brings to the door */
	uint32_t knock_len[FAKE_KNOCKS], n_knocks, next_knock;
	uint32_t asked;
	struct adit_fib_answer answer;
	bool no_answer;
	struct worker_shared shared;
	struct adit_sa_stats stats[ADIT_SAS_MAX];
	uint64_t reasons[ADIT_REASON_COUNT];
	uint64_t now_ns;
};

struct fake *fake_new(void);
void fake_free(struct fake *k);
/* A chunk that nobody has, now on its way in. */
uint8_t *fake_chunk(struct fake *k);
void fake_receive(struct fake *k, const struct frame *f);
void fake_command(struct fake *k, const void *message, size_t len);
/* A note and what is behind it. */
void fake_knock(struct fake *k, const void *octets, uint32_t len);
/* Rounds until nothing is left to receive. */
void fake_run(struct fake *k);
void fake_sa(struct fake *k, const struct adit_msg_sa_add *m);
/* What was sent is free again. */
void fake_complete(struct fake *k);
uint32_t fake_count(const struct fake *k, enum fake_where where);

#endif
