// SPDX-License-Identifier: BSD-2-Clause
#include "ctl.h"

int main(int argc, char **argv)
{
	int code = ctl_run(argc, argv, stdout, stderr);

	/* A full disk or a closed pipe is no success. */
	return fflush(stdout) && code == CTL_OK ? CTL_UNKNOWN : code;
}
