/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ADIT_VERSION_H
#define ADIT_VERSION_H

#define ADIT_VERSION "0.1"

#endif
