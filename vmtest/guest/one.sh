#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# one.sh CASE: runs vmtest/cases/CASE.sh with the functions of lab.sh.  It fails at the first command that fails.
# one.sh --clean: makes the guest as it was before.
set -Eeuo pipefail
. /vmtest/guest/lab.sh
if [ "$1" = --clean ]; then
	set +e
	lab_clean
	exit
fi
mkdir -p /run/vm
trap 'echo "failed: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
trap 'ended $?' EXIT
ended() {
	# Everything is kept; what Adit said last is also shown at once.
	[ "$1" = 0 ] || [ "$1" = 77 ] || [ ! -s /run/vm/aditd.log ] || tail -n 12 /run/vm/aditd.log
	lab_evidence || true
}
. "/vmtest/cases/$1.sh"
