/* SPDX-License-Identifier: BSD-2-Clause */
/* A place where a program of ours belongs: the first at TC in one direction of an interface, the only one at XDP of a
 * device.  It is taken, looked after, and said in `adit status` when somebody else has it, for as long as he does.
 *
 *	place_tc_take     attached, in front of all others; 0 only if so
 *	place_tc_stands   now and then: nobody is told of a TC program put in front of ours.  False: take it again
 *
 * and the same for XDP.  Who gives one up clears it: place_tc_leave. */
#ifndef ADIT_PLACE_H
#define ADIT_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"
#include "programs.h"

/* How often something was said lately. */
struct said {
	uint64_t since_ms;
	unsigned n;
};

struct tc_place {
	bool ours; /* and first */
	enum tc_mode mode;
	bool taken;	       /* by somebody, which was said */
	struct obstacle front; /* who went in front of ours last; id 0: nobody */
	uint64_t front_ms;
	struct said said;
};

struct xdp_place {
	bool ours, native;
	bool taken;		 /* by somebody, which was said */
	struct obstacle foreign; /* whose it is; id 0: nobody's that we know */
	char why[112];		 /* it is not ours; "": it is, or was not tried */
	uint64_t retry_ms;
	struct said said;
};

/* What follows from XDP's not being ours, in words for `adit status`.  NULL: it need not be said there. */
typedef const char *place_loss;

int place_tc_take(struct programs *p, struct tc_place *t, enum program which, const struct link *l);
bool place_tc_stands(struct programs *p, struct tc_place *t, enum program which, const struct link *l);
void place_tc_leave(struct programs *p, struct tc_place *t, enum program which, const struct link *l);

int place_xdp_take(struct programs *p, struct xdp_place *x, enum program which, const struct link *l,
		   enum xdp_mode mode, place_loss loss);
bool place_xdp_stands(struct programs *p, struct xdp_place *x, const struct link *l, place_loss loss);

/* The interface is gone: what was said of it ends. */
void place_forget(const struct link *l);

/* "native", "generic", "off", "foreign: NAME" */
void place_xdp_word(const struct xdp_place *x, char *word, size_t size);

#endif
