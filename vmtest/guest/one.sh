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
	# The parent starts a child that died anew, and all is well again; not for us.
	if [ "$1" = 0 ] && grep -E 'died of signal|ended with status|cannot be started' /run/vm/aditd.log; then
		echo "failed: a child of aditd died"
		set -- 1
	fi 2>/dev/null
	# Everything is kept; what Adit said last is also shown at once.
	[ "$1" = 0 ] || [ "$1" = 77 ] || [ ! -s /run/vm/aditd.log ] || tail -n 12 /run/vm/aditd.log
	lab_evidence || true
	exit "$1"
}
. "/vmtest/cases/$1.sh"
