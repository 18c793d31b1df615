/* SPDX-License-Identifier: BSD-2-Clause */
/* `adit check`: the daemon's own parser on a file, without the daemon. */
#ifndef ADIT_CTL_CHECK_H
#define ADIT_CTL_CHECK_H

#include "ctl.h"

int check_file(const struct ctl *ctl);

#endif
