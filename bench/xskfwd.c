// SPDX-License-Identifier: BSD-2-Clause
#include "xskfwd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char usage[] =
	"usage: xskfwd fwd IN OUT [--gcm seal|open] [--cpu N]\n"
	"       xskfwd gen IF [--size OCTETS] [--rate PPS] [--seconds S] [--cpu N] [--anchor IF]\n"
	"                     [--to-mac M] [--from-mac M] [--from ADDR] [--to ADDR]\n"
	"                     [--pool PIN --frames N]\n"
	"       xskfwd sink IF [--all]\n"
	"       xskfwd capture IF --pool PIN --frames N [--slot OCTETS]\n";

volatile bool stopped;

static void on_signal(int signo)
{
	(void)signo;
	stopped = true;
}

double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int failed(int err, const char *what, const char *where)
{
	fprintf(stderr, "xskfwd: %s %s: %s\n", where, what, strerror(-err));
	return err;
}

int attach_xdp(struct bpf_program *prog, const char *ifname, struct bpf_link **ret)
{
	unsigned ifindex = if_nametoindex(ifname);
	struct bpf_link *link;

	if (!ifindex)
		return failed(-errno, "interface", ifname);
	link = bpf_program__attach_xdp(prog, ifindex);
	if (!link)
		return failed(-errno, "XDP", ifname);
	*ret = link;
	return 0;
}

static int pin_to(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		      &mac[5]) == 6;
}

static bool parse_work(const char *text, enum work *work)
{
	*work = !strcmp(text, "open") ? WORK_OPEN : WORK_SEAL;
	return !strcmp(text, "open") || !strcmp(text, "seal");
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*ret = v;
	return end != text && !*end && v >= min && v <= max;
}

enum { GCM = 256, CPU, SIZE, RATE, SECONDS, ANCHOR, TO_MAC, FROM_MAC, FROM, TO, POOL, COUNT, SLOT, ALL };

static const struct option options[] = {
	{"gcm",	required_argument, NULL, GCM	    },
	{"cpu",	required_argument, NULL, CPU	    },
	{"size",	 required_argument, NULL, SIZE    },
	{"rate",	 required_argument, NULL, RATE    },
	{"seconds",  required_argument, NULL, SECONDS },
	{"anchor",   required_argument, NULL, ANCHOR  },
	{"to-mac",   required_argument, NULL, TO_MAC  },
	{"from-mac", required_argument, NULL, FROM_MAC},
	{"from",	 required_argument, NULL, FROM    },
	{"to",       required_argument, NULL, TO	  },
	{"pool",	 required_argument, NULL, POOL    },
	{"frames",   required_argument, NULL, COUNT	 },
	{"slot",	 required_argument, NULL, SLOT    },
	{"all",	no_argument,	     NULL, ALL     },
	{NULL,       0,		  NULL, 0	 },
};

static bool parse_option(int which, const char *text, struct options *o)
{
	unsigned cpu;

	switch (which) {
	case GCM:
		return parse_work(text, &o->work);
	case CPU:
		return parse_number(text, 0, CPU_SETSIZE - 1, &cpu) && !pin_to(cpu);
	case SIZE:
		return parse_number(text, 60, 1514, &o->size);
	case RATE:
		return parse_number(text, 0, 1000000000, &o->rate);
	case SECONDS:
		o->seconds = atof(text);
		return o->seconds > 0;
	case ANCHOR:
		o->anchor = text;
		return true;
	case TO_MAC:
		return parse_mac(text, o->to_mac);
	case FROM_MAC:
		return parse_mac(text, o->from_mac);
	case FROM:
		return inet_pton(AF_INET, text, &o->from) == 1;
	case TO:
		return inet_pton(AF_INET, text, &o->to) == 1;
	case POOL:
		o->pool = text;
		return true;
	case COUNT:
		return parse_number(text, 1, 1 << 24, &o->frames);
	case SLOT:
		return parse_number(text, 64, 2040, &o->slot_octets) && o->slot_octets % 8 == 0;
	case ALL:
		o->count_all = true;
		return true;
	}
	return false;
}

static const struct {
	const char *name;
	int args;
	int (*run)(const struct options *o);
} verbs[] = {
	{"fwd",	2, run_forwarder},
	{"gen",	1, run_generator},
	{"sink",	 1, run_sink	    },
	{"capture", 1, run_capture  },
};

int main(int argc, char **argv)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: a read must end */
	struct options o = {.size = 64, .seconds = 1, .slot_octets = 1536};
	int which;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_option(which, optarg, &o))
			goto misused;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (optind >= argc || strcmp(argv[optind], verbs[i].name))
			continue;
		if (argc - optind - 1 != verbs[i].args || (o.pool && !o.frames))
			goto misused;
		for (int a = 0; a < verbs[i].args; a++)
			o.arg[a] = argv[optind + 1 + a];
		return verbs[i].run(&o) ? 1 : 0;
	}
misused:
	fputs(usage, stderr);
	return 64;
}
