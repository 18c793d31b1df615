# title: tests of make check that ask the kernel: programs run on packets, AF_XDP sockets, seccomp
# wire: none
# ci: all
# limit: 240
TESTS="bpf/test_* worker/test_xsk worker/test_confine"
export CMOCKA_MESSAGE_OUTPUT=TAP
bad=0
cd /adit/tests
for test in $TESTS; do
	status=0
	"./$test" >/run/vm/tap 2>&1 || status=$?
	planned=$(sed -n 's/^1\.\.//p' /run/vm/tap | awk '{ n += $1 } END { print n + 0 }')
	passed=$(grep -cE '^ok [0-9]+ - ' /run/vm/tap || true)
	say "$test: $passed of $planned"
	# A test that skips is not passed either: nothing is missing in this guest.
	if [ $status != 0 ] || [ "$planned" = 0 ] || [ "$passed" -lt "$planned" ] || grep -q '# SKIP' /run/vm/tap; then
		bad=1
		grep -vE '^ok [0-9]+ - |^; ' /run/vm/tap | tail -n 40
		echo "$test: status $status"
	fi
done
[ $bad = 0 ] || fail "not all passed"
