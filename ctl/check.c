// SPDX-License-Identifier: BSD-2-Clause
#include "check.h"

#include <errno.h>
#include <jansson.h>

#include "conf.h"
#include "keys.h"
#include "text.h"

#define DEFAULT_FILE "/etc/adit/adit.conf"

static void put_json(const struct ctl *ctl, const struct conf_diag *d, const char *file, int code)
{
	json_t *list = json_array(), *name = json_string(file), *j;
	unsigned i;

	for (i = 0; i < d->n; i++)
		json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:s}", "severity",
						      d->v[i].error ? "error" : "warning", "line",
						      (json_int_t)d->v[i].at.line, "col",
						      (json_int_t)d->v[i].at.col, "text", d->v[i].text));
	/* A name that is not UTF-8 cannot be said in JSON. */
	j = json_pack("{s:i,s:o,s:I,s:I,s:o,s:i}", "schema", CTL_SCHEMA, "file", name ? name : json_null(),
		      "errors", (json_int_t)d->errors, "warnings", (json_int_t)d->warnings, "problems", list,
		      "exit", code);
	if (j)
		json_dumpf(j, ctl->out, JSON_COMPACT);
	fputc('\n', ctl->out);
	json_decref(j);
}

static void put_text(const struct ctl *ctl, const struct conf_diag *d, const char *file, const struct conf *c)
{
	struct text t = {.f = ctl->out, .color = ctl->color};
	char line[1024];
	unsigned i;

	for (i = 0; i < d->n; i++)
		text_tinted(&t, d->v[i].error ? TINT_BAD : TINT_WARN, "%s\n",
			    conf_diag_line(d, i, line, sizeof(line)));
	if (d->n)
		fprintf(ctl->out, "%s\n", conf_diag_summary(d, line, sizeof(line)));
	else
		fprintf(ctl->out, "%s: no problem (interfaces %zu, peers %zu, rules %zu)\n", file,
			c->n_interfaces, c->n_peers, c->n_rules);
}

int check_file(const struct ctl *ctl)
{
	static struct conf_diag diag;
	const char *file = ctl->arg ? ctl->arg : DEFAULT_FILE;
	struct conf *c = NULL;
	int err, code;

	if (ctl->keys_markdown) {
		keys_markdown(ctl->out);
		return CTL_OK;
	}
	err = conf_check(file, &c, &diag);
	code = err && err != -EINVAL ? CTL_UNKNOWN : err ? CTL_FAULT : diag.warnings ? CTL_WARNING : CTL_OK;
	if (ctl->json)
		put_json(ctl, &diag, file, code);
	else
		put_text(ctl, &diag, file, c);
	conf_free(c);
	return code;
}
