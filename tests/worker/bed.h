/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop between a fake and another end: what the test programs of the loop share. */
#ifndef WORKER_BED_H
#define WORKER_BED_H

#include "fake.h"

extern struct fake *k;
extern struct sa *peer; /* the other end's outbound SA, to make what we open */

/* Around every test: a fresh k with SA 1 out and SA 2 in. */
int setup(void **state);
int teardown(void **state);

/* Frames on their way in, as the programs would leave them: to seal, to open, to hold. */
void seal_comes(const uint8_t *inner, uint32_t len, uint8_t flags);
struct frame open_frame(const uint8_t *inner, uint32_t len);
void open_comes(const uint8_t *inner, uint32_t len);
void hold_comes(uint32_t rule, uint32_t l3_off, const uint8_t *ip, uint32_t len);
/* As open_comes, but the kernel put it together from fragments, and ike brings it. */
void knocks(const uint8_t *inner, uint32_t len);
/* A message of ike's with nothing but an id. */
void command(uint32_t type, uint32_t id);

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
