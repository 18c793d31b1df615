/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder of its own for a test's key files, gone when the test is over. */
#ifndef ADIT_TEST_SCRATCH_H
#define ADIT_TEST_SCRATCH_H

#include <sys/types.h>

int scratch_open(void **state); /* cmocka group setup; also writes "hq.psk", 21 octets, mode 0600 */
int scratch_close(void **state);
const char *scratch_dir(void);
/* Path of the written file; valid until the next call. */
const char *scratch_write(const char *name, const char *text, mode_t mode);

#endif
