// SPDX-License-Identifier: BSD-2-Clause
#include "sad.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct sad {
	struct adit_sa_stats *stats;
	struct sa sas[ADIT_SAS_MAX];
};

int sad_new(struct adit_sa_stats *stats, struct sad **ret)
{
	struct sad *d;

	d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d == MAP_FAILED)
		return -errno;
	/* Best effort: without the right to lock it, the rest still holds. */
	(void)mlock(d, sizeof(*d));
	(void)madvise(d, sizeof(*d), MADV_DONTDUMP);
	d->stats = stats;
	*ret = d;
	return 0;
}

void sad_free(struct sad *d)
{
	if (!d)
		return;
	sad_flush(d);
	munmap(d, sizeof(*d));
}

static void wipe(struct sa *sa)
{
	crypt_wipe(&sa->crypt);
	OPENSSL_cleanse(sa, sizeof(*sa));
}

void sad_del(struct sad *d, uint32_t index)
{
	if (index < ADIT_SAS_MAX && d->sas[index].index)
		wipe(&d->sas[index]);
}

void sad_flush(struct sad *d)
{
	uint32_t i;

	for (i = 1; i < ADIT_SAS_MAX; i++)
		sad_del(d, i);
}

int sad_add(struct sad *d, const struct adit_msg_sa_add *m)
{
	struct sa *sa;
	int err;

	if (m->index == 0 || m->index >= ADIT_SAS_MAX || m->spi == 0 ||
	    (m->direction != ADIT_IN && m->direction != ADIT_OUT))
		return -EINVAL;

	sad_del(d, m->index);
	sa = &d->sas[m->index];
	err = selectors_set(&sa->selectors, m);
	if (!err)
		err = crypt_init(&sa->crypt, m);
	if (err) {
		wipe(sa);
		return err;
	}

	sa->spi_be = __builtin_bswap32(m->spi);
	sa->rule = m->rule;
	sa->direction = m->direction;
	sa->last = m->esn ? UINT64_MAX : UINT32_MAX;
	sa->soft_packets = m->soft_packets;
	sa->mss4 = m->mss4;
	sa->mss6 = m->mss6;
	sa->inner_mtu = m->inner_mtu;
	sa->remote = m->remote;
	sa->remote_port = m->remote_port;
	replay_init(&sa->replay, m->replay_window);
	sa->stats = &d->stats[m->index];
	memset(sa->stats, 0, sizeof(*sa->stats));
	sa->index = m->index;
	return 0;
}

struct sa *sad_get(struct sad *d, uint32_t index)
{
	struct sa *sa = &d->sas[index < ADIT_SAS_MAX ? index : 0];

	return sa->index ? sa : NULL;
}
