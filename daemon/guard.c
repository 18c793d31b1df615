// SPDX-License-Identifier: BSD-2-Clause
#include "guard.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "backstop.h"
#include "clock.h"
#include "log.h"
#include "netdev.h"
#include "spd.h"
#include "warnings.h"

#define GUARDED_MAX (2 * ADIT_PORTS_MAX) /* those that were renamed among them */

/* Two who want to be first could put themselves there for ever: once a second is enough. */
#define PUT_BACK_MS	  1000
#define BACKSTOP_AGAIN_MS 5000

/* Why a foreign XDP program outside matters; what comes in is guarded at TC then. */
#define SLOW_WAY     "what comes in is guarded at TC and takes the slow way"
#define MODE_WARNING "xdp-mode"

struct guarded {
	const struct conf_interface *conf;
	struct link link;		 /* ifindex 0: it is not there */
	struct tc_place egress, ingress; /* ingress: where XDP cannot be ours */
	struct xdp_place xdp;		 /* of the device, which a VLAN has below it */
	uint64_t put_back_ms;		 /* when that was last done */
};

struct guard {
	struct programs *programs;
	const struct conf *conf;
	struct backstop *backstop; /* NULL: there is no nftables here */
	bool backstop_failed;
	uint64_t backstop_ms;	       /* when that was last tried */
	struct guarded v[GUARDED_MAX]; /* as configured, in that order, and behind them what was renamed */
	unsigned n_conf, n;
};

/* ---- rows ---------------------------------------------------------------------------------- */

struct adit_port guard_row(const struct conf_interface *conf, const struct link *link)
{
	struct adit_port row = {
		.slot = ADIT_NO_SLOT,
		.queues = link->queues,
		.lower_ifindex = link->lower,
		.policy = conf && conf->policy ? conf->policy->id : 0,
		.vlan = link->vlan,
		.vlan_type = link->vlan_type,
		.role = !conf			     ? ADIT_ROLE_CARRIER
			: conf->role == CONF_OUTSIDE ? ADIT_ROLE_OUTSIDE
						     : ADIT_ROLE_INSIDE,
	};
	unsigned mtu = conf && conf->mtu && conf->mtu < link->mtu ? conf->mtu : link->mtu;

	/* What an enveloped packet may have is never more than our frames hold. */
	row.mtu = (uint16_t)(mtu < ADIT_FRAME_MTU_MAX ? mtu : ADIT_FRAME_MTU_MAX);
	if (link->type != ARPHRD_ETHER)
		row.flags |= ADIT_PORT_NO_ETHERNET;
	memcpy(row.name, conf ? conf->name : link->name, sizeof(row.name));
	memcpy(row.mac, link->mac, sizeof(row.mac));
	return row;
}

static const struct conf_interface *conf_of(const struct guard *g, const char *name)
{
	size_t i;

	for (i = 0; i < g->conf->n_interfaces; i++)
		if (strcmp(g->conf->interfaces[i]->name, name) == 0)
			return g->conf->interfaces[i];
	return NULL;
}

/* The device below a VLAN runs our program too, so it needs a row that says what it is itself. */
static int write_lower_row(struct guard *g, const struct link *vlan, struct link *lower)
{
	struct adit_port row;
	int err = link_get_index(vlan->lower, lower);

	if (err)
		return err;
	row = guard_row(conf_of(g, lower->name), lower);
	return programs_set_port(g->programs, lower->ifindex, &row);
}

static int write_rows(struct guard *g, const struct guarded *e, struct link *device)
{
	struct adit_port row = guard_row(e->conf, &e->link);
	int err = 0;

	*device = e->link;
	if (e->link.lower != e->link.ifindex)
		err = write_lower_row(g, &e->link, device);
	if (!err)
		err = programs_set_port(g->programs, e->link.ifindex, &row);
	spd_ports_changed(g->programs);
	return err;
}

/* ---- attaching ----------------------------------------------------------------------------- */

enum xdp_mode guard_xdp_mode(const struct conf_interface *conf, const struct link *device)
{
	static const enum xdp_mode modes[] = {
		[CONF_XDP_AUTO] = XDP_MODE_AUTO,
		[CONF_XDP_NATIVE] = XDP_MODE_NATIVE,
		[CONF_XDP_GENERIC] = XDP_MODE_GENERIC,
	};

	if (device->generic_why && conf->xdp == CONF_XDP_NATIVE)
		warnings_set(MODE_WARNING, conf->name,
			     "%s: xdp is native in the configuration and generic in truth: %s", conf->name,
			     device->generic_why);
	else
		warnings_clear(MODE_WARNING, conf->name);
	return device->generic_why ? XDP_MODE_GENERIC : modes[conf->xdp];
}

/* A hidden tag would make frames of other VLANs look like this interface's own. */
static void show_tags(const struct link *device)
{
	int err = link_rx_vlan_offload_off(device->name);

	if (err && err != -EOPNOTSUPP)
		log_warn("%s: VLAN tags stay hidden from XDP: %s", device->name, strerror(-err));
}

static bool has_ethernet(const struct guarded *e)
{
	return e->link.type == ARPHRD_ETHER;
}

/* At XDP, and where that cannot be, at TC: on the interface itself, not on the device below, where the frames of a VLAN
 * have their tags still.  One is there before the other goes. */
static void attach_inbound(struct guard *g, struct guarded *e, const struct link *device)
{
	if (has_ethernet(e)) {
		if (!e->xdp.ours)
			show_tags(device);
		place_xdp_take(g->programs, &e->xdp, PROGRAM_OUTSIDE, device, guard_xdp_mode(e->conf, device),
			       SLOW_WAY);
	}
	if (e->xdp.ours)
		place_tc_leave(g->programs, &e->ingress, PROGRAM_INGRESS, &e->link);
	else
		place_tc_take(g->programs, &e->ingress, PROGRAM_INGRESS, &e->link);
}

/* The backstop knows by it which device has our programs.  A group that somebody else gave serves as well. */
static void mark(struct guarded *e)
{
	if (!e->link.group && link_set_group(e->link.ifindex, GUARD_GROUP) == 0)
		e->link.group = GUARD_GROUP;
}

/* True if it has another one than we believe. */
static bool marked_anew(struct guarded *e)
{
	struct link now;

	if (link_get_index(e->link.ifindex, &now) || now.group == e->link.group)
		return false;
	e->link.group = now.group;
	mark(e);
	return true;
}

/* One hook in trouble must not keep the guard from the other. */
static void attach(struct guard *g, struct guarded *e, const struct link *device)
{
	place_tc_take(g->programs, &e->egress, PROGRAM_EGRESS, &e->link);
	attach_inbound(g, e, device);
	mark(e);
}

static void guard_one(struct guard *g, struct guarded *e)
{
	struct link device;
	int err = write_rows(g, e, &device);

	if (err)
		log_error("%s: its row cannot be written: %s", e->link.name, strerror(-err));
	attach(g, e, &device);
}

static bool guards_in(const struct guarded *e)
{
	return e->xdp.ours || e->ingress.ours;
}

static bool has_all(const struct guarded *e)
{
	return !e->link.ifindex || (e->egress.ours && guards_in(e));
}

/* ---- the backstop -------------------------------------------------------------------------- */

static void backstop_said(struct guard *g, int err, const char *why)
{
	if (err)
		warnings_set("guard", "nftables",
			     "nftables: %s: an interface that comes back is guarded some milliseconds late, "
			     "and not "
			     "at all while nobody runs",
			     why);
	else
		warnings_clear("guard", "nftables");
	g->backstop_failed = err;
	g->backstop_ms = clock_ms();
}

static void add_index(struct backstop_set *set, const struct guarded *e, bool guarded)
{
	if (!e->link.ifindex || !guarded)
		return;
	set->v[set->n].ifindex = e->link.ifindex;
	set->v[set->n++].group = e->link.group;
}

/* Only an interface that has our program may pass by the backstop, a direction at a time. */
static void tell_backstop(struct guard *g, bool again)
{
	struct backstop_set in = {.n = 0}, out = {.n = 0};
	const char *why = "";
	unsigned i;
	int err = 0;

	if (!g->backstop)
		return;
	for (i = 0; i < g->n_conf; i++) {
		add_index(&in, &g->v[i], guards_in(&g->v[i]));
		add_index(&out, &g->v[i], g->v[i].egress.ours);
	}
	if (again)
		err = backstop_write(g->backstop, g->conf, &why);
	if (!err)
		err = backstop_guarded(g->backstop, &in, &out, &why);
	backstop_said(g, err, why);
}

void guard_netfilter(struct guard *g)
{
	netdev_look(g->conf);
	if (!g->backstop || backstop_stands(g->backstop))
		return;
	if (!g->backstop_failed)
		log_warn("somebody changed or removed our nftables table; it is written again");
	tell_backstop(g, true);
}

/* ---- devices that come and go -------------------------------------------------------------- */

static struct guarded *add(struct guard *g, const struct conf_interface *conf)
{
	if (g->n == GUARDED_MAX)
		return NULL;
	g->v[g->n] = (struct guarded){.conf = conf};
	return &g->v[g->n++];
}

/* It has another name now.  Its rules were protecting what goes out there, and go on. */
static void keep_renamed(struct guard *g, const struct guarded *e, const char *name)
{
	struct guarded *kept = add(g, e->conf);

	log_warn("interface %s is called %s now, and stays guarded as it was", e->conf->name, name);
	if (!kept)
		return;
	*kept = *e;
	snprintf(kept->link.name, sizeof(kept->link.name), "%s", name);
}

static void lose(struct guard *g, struct guarded *e)
{
	char name[IFNAMSIZ];

	if (if_indextoname(e->link.ifindex, name) && strcmp(name, e->conf->name))
		keep_renamed(g, e, name);
	else
		programs_forget_port(g->programs, e->link.ifindex);
	place_forget(&e->link);
	*e = (struct guarded){.conf = e->conf};
}

/* The device that has the configured name now, if one has. */
static void find(struct guard *g, struct guarded *e)
{
	unsigned i;

	if (link_get(e->conf->name, &e->link)) {
		e->link.ifindex = 0;
		return;
	}
	for (i = g->n_conf; g->n_conf && i < g->n; i++)
		if (g->v[i].link.ifindex == e->link.ifindex) {
			g->v[i] = g->v[--g->n]; /* it has its old name again */
			break;
		}
	guard_one(g, e);
}

static void say_change(const struct guarded *e, unsigned then, unsigned now)
{
	log_warn("interface %s %s", e->conf->name, !now ? "is gone" : then ? "was made anew" : "is there");
}

static bool look_for_devices(struct guard *g, const struct link_news *news)
{
	unsigned i, now, then;
	bool same = true;

	for (i = 0; i < g->n_conf; i++) {
		struct guarded *e = &g->v[i];

		then = e->link.ifindex;
		now = if_nametoindex(e->conf->name);
		if (now == then && !(then && link_is_gone(news, then)))
			continue;
		same = false;
		say_change(e, then, now);
		if (then)
			lose(g, e);
		if (now)
			find(g, e);
	}
	return same;
}

/* Renamed ones that are gone for good. */
static void forget_renamed(struct guard *g)
{
	char name[IFNAMSIZ];
	unsigned i;

	for (i = g->n_conf; i < g->n;) {
		if (if_indextoname(g->v[i].link.ifindex, name)) {
			i++;
			continue;
		}
		programs_forget_port(g->programs, g->v[i].link.ifindex);
		g->v[i] = g->v[--g->n];
	}
}

/* ---- programs that somebody took away ------------------------------------------------------ */

static bool stands(struct guard *g, struct guarded *e, const struct link *device)
{
	bool out = place_tc_stands(g->programs, &e->egress, PROGRAM_EGRESS, &e->link), in = true;

	if (has_ethernet(e))
		in = place_xdp_stands(g->programs, &e->xdp, device, SLOW_WAY);
	if (!e->xdp.ours)
		in &= place_tc_stands(g->programs, &e->ingress, PROGRAM_INGRESS, &e->link);
	return out && in;
}

/* True when the backstop has to know. */
static bool put_back(struct guard *g)
{
	uint64_t now = clock_ms();
	bool changed = false, out, in;
	struct link device;
	unsigned i;

	for (i = 0; i < g->n; i++) {
		struct guarded *e = &g->v[i];

		if (!e->link.ifindex || (e->put_back_ms && now - e->put_back_ms < PUT_BACK_MS))
			continue;
		out = e->egress.ours;
		in = guards_in(e);
		/* It may be gone since: then there is nothing to say, and the next look finds out. */
		if (link_get_index(e->link.lower, &device) || stands(g, e, &device)) {
			changed |= marked_anew(e);
			continue;
		}
		e->put_back_ms = now;
		attach(g, e, &device);
		changed |= out != e->egress.ours || in != guards_in(e);
	}
	return changed;
}

void guard_links(struct guard *g, const struct link_news *news)
{
	bool same = look_for_devices(g, news), changed;

	forget_renamed(g);
	changed = put_back(g);
	if (!same || changed)
		tell_backstop(g, false);
}

void guard_look(struct guard *g)
{
	/* What was in the way may have gone without a word. */
	bool again = g->backstop_failed && clock_ms() - g->backstop_ms >= BACKSTOP_AGAIN_MS;

	if (put_back(g) || again)
		tell_backstop(g, again);
}

/* ---- being asked --------------------------------------------------------------------------- */

/* By its programs, or by the backstop, which knows configured names and no others. */
static bool is_guarded(const struct guard *g, unsigned i)
{
	return has_all(&g->v[i]) || (i < g->n_conf && g->backstop && !g->backstop_failed);
}

bool guard_stands(const struct guard *g)
{
	unsigned i;

	for (i = 0; i < g->n; i++)
		if (!is_guarded(g, i))
			return false;
	return true;
}

const struct tc_place *guard_tc(const struct guard *g, unsigned ifindex)
{
	unsigned i;

	for (i = 0; i < g->n; i++)
		if (ifindex && g->v[i].link.ifindex == ifindex)
			return &g->v[i].egress;
	return NULL;
}

const struct xdp_place *guard_xdp(const struct guard *g, unsigned ifindex)
{
	unsigned i;

	for (i = 0; i < g->n; i++)
		if (ifindex && has_ethernet(&g->v[i]) &&
		    (g->v[i].link.ifindex == ifindex || g->v[i].link.lower == ifindex))
			return &g->v[i].xdp;
	return NULL;
}

unsigned guard_rows(const struct guard *g, __u32 *ifindexes, unsigned max)
{
	unsigned i, n = 0;

	for (i = 0; i < g->n && n + 2 <= max; i++) {
		if (!g->v[i].link.ifindex)
			continue;
		ifindexes[n++] = g->v[i].link.ifindex;
		if (g->v[i].link.lower != g->v[i].link.ifindex)
			ifindexes[n++] = g->v[i].link.lower;
	}
	return n;
}

/* ---- life ---------------------------------------------------------------------------------- */

/* What an earlier run guarded as one of our policy interfaces, and has another name now. */
static void find_renamed(struct guard *g)
{
	const struct conf_interface *conf;
	char name[IFNAMSIZ];
	struct adit_port row;
	struct guarded *e;
	__u32 ifindex = 0;

	while (programs_next_port(g->programs, &ifindex, &row)) {
		row.name[sizeof(row.name) - 1] = '\0';
		conf = conf_of(g, row.name);
		if (row.role != ADIT_ROLE_OUTSIDE || !conf || !conf->policy ||
		    !if_indextoname(ifindex, name) || strcmp(name, row.name) == 0)
			continue;
		e = add(g, conf);
		if (!e)
			return;
		if (link_get_index(ifindex, &e->link) == 0)
			guard_one(g, e);
		else
			g->n--;
	}
}

static int find_all(struct guard *g)
{
	struct guarded *e;
	size_t i;

	for (i = 0; i < g->conf->n_interfaces; i++) {
		const struct conf_interface *c = g->conf->interfaces[i];

		if (c->role != CONF_OUTSIDE)
			continue;
		e = add(g, c);
		if (!e)
			return -E2BIG;
		find(g, e);
		if (!e->link.ifindex)
			log_warn("%s:%u:%u: there is no interface %s now; waiting for it", g->conf->path,
				 c->loc.line, c->loc.col, c->name);
	}
	g->n_conf = g->n;
	find_renamed(g);
	return 0;
}

int guard_open(const char *instance, const struct conf *conf, struct programs *programs, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof(*g));
	const char *why;
	int err;

	if (!g)
		return -ENOMEM;
	g->programs = programs;
	g->conf = conf;
	if (backstop_open(instance, &g->backstop) == 0) {
		err = backstop_write(g->backstop, conf, &why);
		backstop_said(g, err, why);
	}
	warnings_begin(MODE_WARNING); /* of interfaces that are none any more */
	warnings_end(MODE_WARNING);
	err = spd_write(programs, conf);
	if (err)
		log_error("the rules cannot be written: %s", strerror(-err));
	/* What is not said of an interface now is of an earlier configuration's. */
	warnings_begin("tc");
	warnings_begin("xdp");
	if (!err)
		err = find_all(g);
	warnings_end("tc");
	warnings_end("xdp");
	if (err) {
		guard_close(g);
		return err;
	}
	netdev_look(conf);
	tell_backstop(g, false);
	*ret = g;
	return 0;
}

void guard_leave(struct guard *g)
{
	const struct backstop_set none = {.n = 0};
	const char *why;

	if (g->backstop)
		backstop_guarded(g->backstop, &none, &none, &why);
}

void guard_close(struct guard *g)
{
	if (!g)
		return;
	backstop_close(g->backstop);
	free(g);
}
