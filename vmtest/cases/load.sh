# title: the verifier accepts every program
# wire: none
# ci: all
# libbpf prints the verifier's log of a program that is refused; one.sh's caller shows the end of it.
/usr/sbin/bpftool prog loadall /adit/adit.bpf.o /sys/fs/bpf/load >/run/vm/verifier.txt 2>&1 || {
	status=$?
	grep -v '^; ' /run/vm/verifier.txt | tail -n 40
	fail "bpftool prog loadall: $status"
}
# Every one of them: the object's names against what is pinned.
pinned=$(ls /sys/fs/bpf/load | tr '\n' ' ')
[ "$(wc -w <<<"$pinned")" -ge 6 ] || fail "only these were loaded: $pinned"
say "$pinned"
rm -r /sys/fs/bpf/load
