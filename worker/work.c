// SPDX-License-Identifier: BSD-2-Clause
#include "work.h"

#include "esp.h"
#include "log.h"

#include <errno.h>
#include <openssl/crypto.h>

#define TELL_NS	      1000000000ull
#define AHEAD	      4	   /* frames that the cache is told of in advance */
#define COMMANDS_MOST 4096 /* at one time, then frames again */

_Static_assert(ADIT_REASON_COUNT <= UINT8_MAX, "struct leaving keeps reasons in an octet");

static void send_off(struct work *w, uint32_t slot)
{
	struct leaving *l = &w->leaving[slot];
	int sent = w->io->send(w->io_self, slot, l->frame, l->n);
	int i;

	for (i = 0; i < sent; i++)
		w->reasons[l->why[i]]++;
	if (sent < 0)
		w->reasons[ADIT_DROP_NO_PORT] += l->n;
	else
		w->reasons[ADIT_DROP_TX_FULL] += l->n - (uint32_t)sent;
	l->n = 0;
}

static void drop(struct work *w, const struct frame *f, enum adit_reason why)
{
	w->reasons[why]++;
	w->bad[w->n_bad++] = *f;
	if (w->n_bad == BATCH) {
		w->io->drop(w->io_self, w->bad, w->n_bad);
		w->n_bad = 0;
	}
}

static void leave(struct work *w, const struct frame *f, uint32_t slot, enum adit_reason why)
{
	struct leaving *l;

	if (slot >= ADIT_PORTS_MAX) {
		drop(w, f, ADIT_DROP_NO_PORT);
		return;
	}
	l = &w->leaving[slot];
	l->frame[l->n] = *f;
	l->why[l->n++] = (uint8_t)why;
	if (l->n == BATCH)
		send_off(w, slot);
}

static void obey_all(struct work *w);

/* The index must name the SA that BPF meant: an index lives on in another SA, an SPI does not. */
static struct sa *known(struct work *w, uint32_t index, enum adit_direction direction, const uint8_t *esp)
{
	struct sa *sa = sad_get(w->sad, index);

	return sa && sa->direction == direction && !memcmp(esp, &sa->spi_be, 4) ? sa : NULL;
}

/* SA_ADD precedes the maps that name the SA (adit/msg.h), so one look at the commands settles it.  One for
 * the whole batch: its frames were here before that look. */
static struct sa *find(struct work *w, uint32_t index, enum adit_direction direction, const uint8_t *esp)
{
	struct sa *sa = known(w, index, direction, esp);

	if (sa || w->commands_fresh)
		return sa;
	obey_all(w);
	w->commands_fresh = true;
	return known(w, index, direction, esp);
}

/* Once per SA and kind; what did not get through is told again a second later, not with every packet. */
static void lifetime(struct work *w, struct sa *sa, uint64_t packets)
{
	struct adit_msg_lifetime m = {.type = ADIT_MSG_LIFETIME, .index = sa->index};
	bool hard = !sa->hard_told && sa->direction == ADIT_OUT && sa->seq == sa->last;
	bool soft = !sa->soft_told && sa->soft_packets && packets >= sa->soft_packets;
	uint64_t *tried_ns = hard ? &sa->hard_tried_ns : &sa->soft_tried_ns;

	if ((!hard && !soft) || (*tried_ns && w->now_ns - *tried_ns < TELL_NS))
		return;
	*tried_ns = w->now_ns;
	m.hard = hard;
	if (!event_tell(&w->events, &m, sizeof(m)))
		return;
	sa->soft_told = true;
	sa->hard_told = hard;
}

static void seal_one(struct work *w, struct sa *sa, struct frame *f, const struct adit_note *note)
{
	enum adit_reason why = esp_seal(sa, f, note, w->now_ns);

	if (why == ADIT_SEALED)
		leave(w, f, note->seal.slot, why);
	else
		drop(w, f, why);
}

static void seal_pieces(struct work *w, struct sa *sa, struct frame *f, const struct adit_note *note)
{
	struct fragment piece[FRAGMENTS_MAX];
	enum adit_reason why;
	uint32_t n, i;

	why = fragment_cut(sa, f, note, w->io, w->io_self, piece, &n);
	if (why != ADIT_FRAGMENTED) {
		drop(w, f, why);
		return;
	}
	w->reasons[why] += n > 1;
	for (i = 0; i < n; i++)
		seal_one(w, sa, &piece[i].frame, &piece[i].note);
}

static void seal(struct work *w, struct frame *f, const struct adit_note *note)
{
	uint32_t esp_off = note->seal.esp_off, off;
	struct inner in;
	struct sa *sa;

	if (esp_off < note->seal.l3_off + 20u || esp_off + ESP_HEADER_LEN > f->len) {
		drop(w, f, ADIT_DROP_NO_NOTE);
		return;
	}
	sa = find(w, note->id, ADIT_OUT, f->data + esp_off);
	if (!sa) {
		drop(w, f, ADIT_DROP_STALE_SA);
		return;
	}
	off = esp_off + ESP_HEADER_LEN + sa->crypt.iv_len;
	if (off + note->seal.inner_len > f->len || inner_parse(f->data + off, note->seal.inner_len, &in) ||
	    in.len != note->seal.inner_len) {
		drop(w, f, ADIT_DROP_INNER);
		return;
	}
	if (inner_finish_checksum(&in))
		w->reasons[ADIT_CHECKSUM_FINISHED]++;
	if (note->flags & ADIT_NOTE_FRAGMENT)
		seal_pieces(w, sa, f, note);
	else
		seal_one(w, sa, f, note);
	lifetime(w, sa, sa->seq);
}

/* RFC 7296 2.23, and never for a replayed or late packet: an attacker who races the peer would win else. */
static void heard_from(struct work *w, struct sa *sa, const struct adit_addr *peer, uint16_t port)
{
	struct adit_msg_peer_moved m = {
		.type = ADIT_MSG_PEER_MOVED,
		.index = sa->index,
		.remote = *peer,
		.remote_port = port,
	};

	if (port == sa->remote_port && addr_same(peer, &sa->remote))
		return;
	if (sa->moved_told_ns && w->now_ns - sa->moved_told_ns < TELL_NS)
		return;
	sa->moved_told_ns = w->now_ns;
	w->reasons[ADIT_PEER_MOVED]++;
	if (!event_tell(&w->events, &m, sizeof(m)))
		return;
	sa->remote = *peer;
	sa->remote_port = port;
}

static void open_one(struct work *w, struct frame *f, const struct adit_note *note)
{
	struct opened opened = {.newest = false};
	enum adit_reason why;
	struct sa *sa;
	uint32_t slot;

	if (f->len < ESP_HEADER_LEN) {
		drop(w, f, ADIT_DROP_ESP_LENGTH);
		return;
	}
	sa = find(w, note->id, ADIT_IN, f->data);
	if (!sa) {
		drop(w, f, ADIT_DROP_STALE_SA);
		return;
	}
	why = esp_open(sa, f, note->open.tos, w->now_ns, &opened);
	if (opened.newest)
		heard_from(w, sa, &note->open.peer, note->open.peer_port);
	if (why) {
		drop(w, f, why);
		return;
	}
	lifetime(w, sa, sa->stats->packets);
	why = deliver_route(w->deliver, f, &opened.inner, w->now_ns, &slot);
	if (why == ADIT_DROP_TOO_LONG)
		drop(w, f, why);
	else
		leave(w, f, slot, why);
}

static void hold_one(struct work *w, struct frame *f, const struct adit_note *note)
{
	enum adit_reason why = hold_add(w->hold, f, note, w->now_ns);

	if (why == ADIT_HELD)
		w->reasons[why]++;
	else
		drop(w, f, why);
}

static void handle(struct work *w, struct frame *f)
{
	const struct adit_note note = frame_note(f);

	if (note.magic != ADIT_NOTE_MAGIC)
		drop(w, f, ADIT_DROP_NO_NOTE);
	else if (note.kind == ADIT_NOTE_SEAL)
		seal(w, f, &note);
	else if (note.kind == ADIT_NOTE_OPEN)
		open_one(w, f, &note);
	else if (note.kind == ADIT_NOTE_HOLD)
		hold_one(w, f, &note);
	else if (note.kind == ADIT_NOTE_SEND)
		leave(w, f, note.seal.slot, ADIT_SENT_AS_IS);
	else
		drop(w, f, ADIT_DROP_NO_NOTE);
}

static void flush(struct work *w)
{
	uint32_t slot;

	for (slot = 0; slot < ADIT_PORTS_MAX; slot++)
		if (w->leaving[slot].n)
			send_off(w, slot);
	if (w->n_bad)
		w->io->drop(w->io_self, w->bad, w->n_bad);
	w->n_bad = 0;
}

/* Another core wrote the frame: ask for its note and headers before they are needed. */
static void expect(const struct frame *f)
{
	__builtin_prefetch(f->data - sizeof(struct adit_note));
	__builtin_prefetch(f->data);
	__builtin_prefetch(f->data + 64);
}

uint32_t work_round(struct work *w, uint64_t now_ns)
{
	uint32_t sources = w->io->sources(w->io_self), s, n, i, all = 0;
	struct frame in[BATCH];

	w->now_ns = now_ns;
	deliver_look(w->deliver);
	for (s = 0; s < sources; s++) {
		n = w->io->recv(w->io_self, s, in, BATCH);
		w->commands_fresh = false;
		for (i = 0; i < n && i < AHEAD; i++)
			expect(&in[i]);
		for (i = 0; i < n; i++) {
			if (i + AHEAD < n)
				expect(&in[i + AHEAD]);
			handle(w, &in[i]);
		}
		all += n;
		if (n)
			flush(w);
	}
	w->io->kick(w->io_self);
	return all;
}

/* Without a free frame what is there is read all the same, and dropped: its descriptor would wake us for ever. */
static int next_at_door(struct work *w, struct frame *f)
{
	uint8_t nowhere[sizeof(struct adit_note)];
	int len;

	if (w->io->get(w->io_self, f)) {
		len = w->door.next(w->door.self, f->data - sizeof(struct adit_note),
				   f->room + sizeof(struct adit_note));
		if (len <= 0)
			w->io->drop(w->io_self, f, 1);
		return len;
	}
	f->data = NULL;
	len = w->door.next(w->door.self, nowhere, sizeof(nowhere));
	if (len > 0)
		w->reasons[ADIT_DROP_NO_FRAME]++;
	return len;
}

/* Nothing but OPEN: ike has no say in what is sealed or sent. */
static void take_at_door(struct work *w, struct frame *f, uint32_t len)
{
	struct adit_note note;

	if (len < sizeof(note)) {
		drop(w, f, ADIT_DROP_NO_NOTE);
		return;
	}
	len -= sizeof(note);
	if (len > f->room) {
		drop(w, f, ADIT_DROP_TOO_LONG);
		return;
	}
	f->len = len;
	note = frame_note(f);
	if (note.magic != ADIT_NOTE_MAGIC || note.kind != ADIT_NOTE_OPEN)
		drop(w, f, ADIT_DROP_NO_NOTE);
	else
		open_one(w, f, &note);
}

uint32_t work_door(struct work *w, uint64_t now_ns)
{
	struct frame f;
	uint32_t n;
	int len;

	w->now_ns = now_ns;
	w->commands_fresh = false;
	deliver_look(w->deliver);
	for (n = 0; n < BATCH && (len = next_at_door(w, &f)) > 0; n++)
		if (f.data)
			take_at_door(w, &f, (uint32_t)len);
	if (n) {
		flush(w);
		w->io->kick(w->io_self);
	}
	return n;
}

static void let_go(struct work *w, uint32_t n, const struct frame *f, enum adit_reason why)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (why == ADIT_RELEASED)
			leave(w, &f[i], w->again_slot, why);
		else
			drop(w, &f[i], why);
	}
}

static void take_rule(struct work *w, uint32_t rule, enum adit_reason why)
{
	struct frame f[HOLD_PER_RULE];

	let_go(w, hold_take(w->hold, rule, f, HOLD_PER_RULE), f, why);
}

static void forget_all(struct work *w)
{
	struct frame f[HOLD_PER_RULE];
	uint32_t n;

	sad_flush(w->sad);
	while ((n = hold_take_all(w->hold, f, HOLD_PER_RULE)) > 0)
		let_go(w, n, f, ADIT_DROP_NO_SA);
}

/* Both ends are one build: a message of another size is no message. */
static bool whole(const union adit_msg *m, size_t len)
{
	if (len < sizeof(m->type))
		return false;
	return len == (m->type == ADIT_MSG_SA_ADD ? sizeof(m->sa_add) : sizeof(m->id));
}

static void add(struct work *w, const struct adit_msg_sa_add *m)
{
	int err = sad_add(w->sad, m);

	if (err)
		log_error("SA %u (SPI %08x) refused: %s", m->index, m->spi, strerror(-err));
}

static void obey(struct work *w, const union adit_msg *m)
{
	switch (m->type) {
	case ADIT_MSG_SA_ADD:
		add(w, &m->sa_add);
		break;
	case ADIT_MSG_SA_DEL:
		sad_del(w->sad, m->id.id);
		break;
	case ADIT_MSG_RELEASE:
		hold_ask_anew(w->hold, m->id.id);
		take_rule(w, m->id.id, ADIT_RELEASED);
		break;
	case ADIT_MSG_DISCARD:
		take_rule(w, m->id.id, ADIT_DROP_NO_SA);
		break;
	case ADIT_MSG_FLUSH:
		forget_all(w);
		break;
	}
}

static void obey_all(struct work *w)
{
	union adit_msg m;
	int len, n;

	for (n = 0; n < COMMANDS_MOST && (len = w->commands.next(w->commands.self, &m)) > 0; n++)
		if (whole(&m, (size_t)len))
			obey(w, &m);
	w->stop |= len == 0;
	OPENSSL_cleanse(&m, sizeof(m)); /* there were keys */
}

void work_commands(struct work *w)
{
	obey_all(w);
	flush(w);
	w->io->kick(w->io_self);
}

void work_tick(struct work *w, uint64_t now_ns)
{
	struct frame f[HOLD_PER_RULE];
	uint32_t n;

	w->now_ns = now_ns;
	while ((n = hold_take_late(w->hold, now_ns, f, HOLD_PER_RULE)) > 0)
		let_go(w, n, f, ADIT_DROP_HOLD_TIMEOUT);
	flush(w);
}
