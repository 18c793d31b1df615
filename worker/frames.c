// SPDX-License-Identifier: BSD-2-Clause
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int frames_init(struct frames *s, uint32_t max)
{
	uint32_t i;

	memset(s, 0, sizeof(*s));
	s->chunk = calloc(max, sizeof(*s->chunk));
	if (!s->chunk)
		return -ENOMEM;
	s->max = max;
	for (i = max; i > 0; i--)
		frames_give(s, i - 1);
	return 0;
}

void frames_fini(struct frames *s)
{
	free(s->chunk);
	memset(s, 0, sizeof(*s));
}
