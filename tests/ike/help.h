/* SPDX-License-Identifier: BSD-2-Clause */
/* What every test here includes, and hex. */
#ifndef ADIT_TESTS_IKE_HELP_H
#define ADIT_TESTS_IKE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Octets of a hex string; their number. */
size_t unhex(const char *hex, uint8_t *out, size_t size);
void assert_hex(const void *octets, size_t len, const char *hex);

#endif
