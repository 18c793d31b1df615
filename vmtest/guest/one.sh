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
trap 'lab_evidence || true' EXIT
. "/vmtest/cases/$1.sh"
