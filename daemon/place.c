// SPDX-License-Identifier: BSD-2-Clause
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "warnings.h"

/* Two who want to be first could put themselves there for ever; nobody reads a log that says it more often. */
#define SAID_MOST   3
#define SAID_WITHIN 60000 /* ms */
#define REMEMBER_MS 60000 /* who went in front and left may come back: so long it is still said */
#define RETRY_MS    5000  /* a driver that refused our program may do so again, and lose packets each time */

static bool may_say(struct said *said, const char *name)
{
	uint64_t now = clock_ms();

	if (!said->n || now - said->since_ms >= SAID_WITHIN) {
		if (said->n > SAID_MOST)
			log_error("%s: that happened %u times more within a minute", name,
				  said->n - SAID_MOST);
		*said = (struct said){.since_ms = now};
	}
	return said->n++ < SAID_MOST;
}

/* The device went between two looks: not somebody's doing, and said elsewhere. */
static bool is_gone(const struct link *l)
{
	char name[IFNAMSIZ];

	return !if_indextoname(l->ifindex, name);
}

/* ---- TC ------------------------------------------------------------------------------------- */

static const char *direction(enum program which)
{
	return which == PROGRAM_INGRESS ? "ingress" : "egress";
}

static void tc_key(enum program which, const struct link *l, char key[WARNING_NAME_SIZE])
{
	snprintf(key, WARNING_NAME_SIZE, "%s %s", l->name, direction(which));
}

/* Ours is first.  Who was before is said as long as he is there at all, or might come back. */
static void say_first(struct tc_place *t, enum program which, const struct link *l)
{
	char key[WARNING_NAME_SIZE];

	if (t->front.id && clock_ms() - t->front_ms >= REMEMBER_MS &&
	    !programs_has_tc(which, l->ifindex, t->front.id))
		t->front.id = 0;
	tc_key(which, l, key);
	if (t->front.id)
		warnings_set("tc", key,
			     "%s: %s was put in front of ours on %s; ours goes first again, but for a moment "
			     "it did not; to be rid of it: %s",
			     l->name, t->front.what, direction(which), t->front.remove);
	else
		warnings_clear("tc", key);
}

/* Ours has no place, or not the first: what the backstop does not stop goes by. */
static void say_not_first(enum program which, const struct link *l, int err, const struct obstacle *o)
{
	const char *way = which == PROGRAM_EGRESS ? "out" : "in";
	char key[WARNING_NAME_SIZE];

	tc_key(which, l, key);
	if (!*o->what || (err != -EBUSY && err != -EEXIST && err != -EOPNOTSUPP))
		warnings_set("tc", key, "%s: our rules do not see what goes %s: TC program not attached: %s",
			     l->name, way, strerror(-err));
	else if (err == -EBUSY)
		warnings_set("tc", key,
			     "%s: %s decides before ours on %s, and nothing can go in front of it: what it "
			     "lets %s is not seen by our rules; to mend it: %s",
			     l->name, o->what, direction(which), way, o->remove);
	else
		warnings_set("tc", key, "%s: our rules do not see what goes %s: there is %s; to mend it: %s",
			     l->name, way, o->what, o->remove);
}

static void become_first(struct tc_place *t, const struct link *l, enum tc_mode mode)
{
	if (!t->ours || t->mode != mode)
		log_info("%s: TC %s", l->name,
			 mode == TC_MODE_TCX ? "tcx" : "clsact (the kernel has no tcx)");
	else if (t->taken)
		log_info("%s: our TC program is put back", l->name);
	t->ours = true;
	t->mode = mode;
	t->taken = false;
}

int place_tc_take(struct programs *p, struct tc_place *t, enum program which, const struct link *l)
{
	struct obstacle before, left;
	enum standing stood, stands;
	enum tc_mode mode;
	int err;

	stood = programs_look_tc(p, which, l->ifindex, &before);
	err = programs_attach_tc(p, which, l->ifindex, &mode);
	stands = programs_look_tc(p, which, l->ifindex, &left);
	if (!err && stands != STANDING_FIRST)
		err = -EBUSY; /* somebody was faster; the next look tries again */
	/* In front of ours, or in its place. */
	if (stood == STANDING_BEHIND || (t->ours && before.id)) {
		t->front = before;
		t->front_ms = clock_ms();
	}
	if (err) {
		say_not_first(which, l, err, &left);
		t->ours = false;
		return err;
	}
	become_first(t, l, mode);
	say_first(t, which, l);
	return 0;
}

bool place_tc_stands(struct programs *p, struct tc_place *t, enum program which, const struct link *l)
{
	struct obstacle o;

	switch (programs_look_tc(p, which, l->ifindex, &o)) {
	case STANDING_FIRST:
		say_first(t, which, l);
		return t->ours;
	case STANDING_BEHIND:
		return false; /* place_tc_take says what came of it */
	case STANDING_NONE:
		break;
	}
	if (is_gone(l))
		return true;
	if (t->ours && may_say(&t->said, l->name)) {
		log_error("%s: somebody took our TC program off %s", l->name, direction(which));
		t->taken = true;
	}
	return false;
}

void place_tc_leave(struct programs *p, struct tc_place *t, enum program which, const struct link *l)
{
	char key[WARNING_NAME_SIZE];

	programs_detach_tc(p, which, l->ifindex);
	*t = (struct tc_place){.said = t->said};
	tc_key(which, l, key);
	warnings_clear("tc", key);
}

/* ---- XDP ------------------------------------------------------------------------------------- */

static void say_xdp(const struct xdp_place *x, const struct link *l, const struct obstacle *o,
		    place_loss loss)
{
	if (x->ours && o->id)
		warnings_set("xdp", l->name,
			     "%s: %s is asked before ours, by the NIC itself; to be rid of it: %s", l->name,
			     o->what, o->remove);
	else if (loss && *x->why)
		warnings_set("xdp", l->name, "%s: %s: %s%s%s", l->name, x->why, loss,
			     o->id ? "; to be rid of it: " : "", o->remove);
	else
		warnings_clear("xdp", l->name);
}

static void become_ours(struct xdp_place *x, const struct link *l, bool native)
{
	if ((!x->ours || native != x->native) && native)
		log_info("%s: XDP native", l->name);
	else if (!x->ours || native != x->native)
		log_info("%s: XDP generic (slower; %s)", l->name,
			 l->generic_why ? l->generic_why : "the driver has no native XDP");
	else if (x->taken)
		log_info("%s: our XDP program is put back", l->name);
	*x = (struct xdp_place){.ours = true, .native = native, .said = x->said};
}

static void become_other(struct xdp_place *x, int err, const struct obstacle *o)
{
	*x = (struct xdp_place){.foreign = *o, .retry_ms = clock_ms() + RETRY_MS, .said = x->said};
	if (o->id)
		snprintf(x->why, sizeof(x->why), "%.90s is there", o->what);
	else
		snprintf(x->why, sizeof(x->why), "our XDP program cannot be attached: %s", strerror(-err));
}

int place_xdp_take(struct programs *p, struct xdp_place *x, enum program which, const struct link *l,
		   enum xdp_mode mode, place_loss loss)
{
	bool native = x->native;
	struct obstacle o;
	int err = programs_attach_xdp(p, which, l->ifindex, mode, &native);

	programs_look_xdp(p, l->ifindex, &o);
	if (err)
		become_other(x, err, &o);
	else
		become_ours(x, l, native);
	say_xdp(x, l, &o, loss);
	return err;
}

bool place_xdp_stands(struct programs *p, struct xdp_place *x, const struct link *l, place_loss loss)
{
	struct obstacle o;
	enum standing now = programs_look_xdp(p, l->ifindex, &o);

	say_xdp(x, l, &o, loss);
	if (now != STANDING_NONE)
		return x->ours;
	if (o.id)
		return !x->ours && x->foreign.id == o.id; /* as it was: nothing can be done */
	if (is_gone(l))
		return true;
	if (!x->ours)
		return !x->foreign.id && clock_ms() < x->retry_ms;
	if (may_say(&x->said, l->name)) {
		log_error("%s: somebody took our XDP program off", l->name);
		x->taken = true;
	}
	return false;
}

void place_forget(const struct link *l)
{
	char key[WARNING_NAME_SIZE];

	tc_key(PROGRAM_EGRESS, l, key);
	warnings_clear("tc", key);
	tc_key(PROGRAM_INGRESS, l, key);
	warnings_clear("tc", key);
	warnings_clear("xdp", l->name);
}

void place_xdp_word(const struct xdp_place *x, char *word, size_t size)
{
	if (x->foreign.id)
		snprintf(word, size, "foreign: %s", x->foreign.name);
	else
		snprintf(word, size, "%s", !x->ours ? "off" : x->native ? "native" : "generic");
}
