/* fuzz-sources: conf/[a-z]*.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Any octets as a configuration: either objects that hold together, or at least one message that says why
 * not. */
#include <stdlib.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct conf *c)
{
	char buf[2 * CONF_ID_MAX + 16];
	size_t i;

	for (i = 0; i < c->n_rules; i++)
		if (!c->rules[i].id || !c->rules[i].entry->peer || !c->rules[i].entry->n_esp ||
		    (c->rules[i].match->permit && !c->rules[i].match->family))
			abort();
	for (i = 0; i < c->n_peers; i++)
		if (!c->peers[i]->n_ike || !c->peers[i]->psk_path ||
		    !conf_id_str(&c->peers[i]->remote_id, buf, sizeof(buf)))
			abort();
	for (i = 0; i < c->n_interfaces; i++)
		if ((c->interfaces[i]->role == CONF_OUTSIDE) != (c->interfaces[i]->policy != NULL))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf_diag diag;
	struct conf *c = NULL;
	char line[1024];
	unsigned i;
	int err = conf_parse((const char *)data, size, "fuzz.conf", &c, &diag);

	if ((err == 0) != (c != NULL) || (err == 0) != (diag.errors == 0))
		abort();
	for (i = 0; i < diag.n; i++)
		conf_diag_line(&diag, i, line, sizeof(line));
	conf_diag_summary(&diag, line, sizeof(line));
	if (c)
		walk(c);
	conf_free(c);
	return 0;
}
