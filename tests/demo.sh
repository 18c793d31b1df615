#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two gateways in namespaces, a tunnel between them, real traffic through it.
#
#   tests/demo.sh                     aditd on both gateways
#   tests/demo.sh --peer strongswan   strongSwan on gwB: once Adit calls it, once it calls Adit
#
# Shows each step and ends with a summary; exit 0 only if everything worked.  Leaves nothing behind.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lab.sh"

build=${ADIT_BUILD:-$here/../build}
iperf_s=3
up_s=15
peer=adit
case "${1:-} ${2:-}" in
" " | "--peer adit") ;;
"--peer strongswan") peer=strongswan ;;
*)
	echo "usage: demo.sh [--peer strongswan]" >&2
	exit 64
	;;
esac

LAB_PREFIX=adit-demo
dir=
failures=0
summary=()

# ---- telling ----------------------------------------------------------------------------------

say() { printf '\n== %s\n' "$*"; }
indent() { sed 's/^/   /'; }

passed() { printf '   ok      %s\n' "$*"; }
failed() {
	printf '   FAILED  %s\n' "$*"
	failures=$((failures + 1))
}

# must WHAT CMD...: the step WHAT, judged by CMD's exit.
must() {
	local what=$1
	shift
	if "$@" >>"$dir/steps.log" 2>&1; then passed "$what"; else failed "$what"; return 1; fi
}

# within SECONDS CMD...: waits until CMD succeeds.
within() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.1
	done
}

# Programs and maps outlive a daemon on purpose; a demo takes them along.
unload() { # in the box; where there is none any more, the pins alone are left
	lab_in gwA "$build/aditd" -i adit-demo-a --unload || "$build/aditd" -i adit-demo-a --unload
	lab_in gwB "$build/aditd" -i adit-demo-b --unload || "$build/aditd" -i adit-demo-b --unload
} >/dev/null 2>&1

finish() {
	trap - EXIT INT TERM HUP
	lab_stop
	unload
	lab_down
	if [ -z "$dir" ]; then return; fi
	if [ "$1" = keep ]; then echo "   logs and captures stay in $dir"; else rm -rf "$dir"; fi
}
interrupted() {
	echo
	echo "interrupted, cleaning up"
	finish drop
	exit 130
}

# ---- gateways ---------------------------------------------------------------------------------

# adit_conf ME OTHER REMOTE LOCAL_LAN REMOTE_LAN
adit_conf() {
	cat <<-EOF2
		interface wan0 { role outside; policy demo }
		interface lan0 { role inside }
		ike-proposal strong { encryption aes256gcm16; prf sha256; dh x25519 }
		esp-proposal fast { encryption aes256gcm16; esn both }
		peer $2 {
		    remote $3
		    local-id fqdn:$1.demo
		    remote-id fqdn:$2.demo
		    psk file:demo.psk
		    ike strong
		}
		acl lans { 5 permit ip $4 -> $5 }
		policy demo { 10 isakmp { peer $2; acl lans; esp fast; trigger traffic } }
	EOF2
}

swanctl_conf() {
	cat <<-EOF2
		connections { gw-a {
		    version = 2
		    local_addrs = 198.51.100.1
		    remote_addrs = 192.0.2.1
		    proposals = aes256gcm16-prfsha256-x25519
		    local { auth = psk
		        id = gw-b.demo }
		    remote { auth = psk
		        id = gw-a.demo }
		    children { lans {
		        local_ts = 10.1.2.0/24
		        remote_ts = 10.1.1.0/24
		        esp_proposals = aes256gcm16
		    } }
		} }
		secrets { ike-1 { id-a = gw-a.demo
		    id-b = gw-b.demo
		    secret = "$(cat "$dir/demo.psk")" } }
	EOF2
}

charon_conf() {
	cat <<-EOF2
		charon {
		    load = random nonce openssl aes sha1 sha2 hmac kdf gcm curve25519 pem pkcs1 x509 pubkey kernel-libipsec kernel-netlink socket-default vici
		    filelog { all { path = $dir/charon.log
		        default = 1
		        flush_line = yes } }
		    syslog { daemon { default = -1 }
		        auth { default = -1 } }
		    plugins { vici { socket = unix://$dir/vici }
		        kernel-libipsec { allow_peer_ts = no } }
		}
	EOF2
}

adit() { # adit a|b ARGS...: the command line tool, as a person would use it
	local side=$1
	shift
	lab_in "gw${side^}" timeout 10 "$build/adit" -i "adit-demo-$side" "$@"
}

adit_answers() {
	adit "$1" status
	[ $? != 69 ]
}

start_adit() {
	local side=$1
	lab_in "gw${side^}" "$build/aditd" -f "$dir/$side.conf" -i "adit-demo-$side" >>"$dir/aditd-$side.log" 2>&1 &
	must "aditd on gw${side^} answers" within "$up_s" adit_answers "$side"
}

# Its own /run, because charon's files there have fixed names.
start_charon() {
	mkdir -p "$dir/run"
	rm -f "$dir/vici"
	charon_conf >"$dir/strongswan.conf"
	swanctl_conf >"$dir/swanctl.conf"
	STRONGSWAN_CONF=$dir/strongswan.conf lab_in gwB unshare -m bash -c \
		'mount --make-rprivate / && mount --bind "$0/run" /run && exec /usr/lib/ipsec/charon' "$dir" \
		>"$dir/charon.out" 2>&1 &
	within "$up_s" test -S "$dir/vici"
	must "charon on gwB has its configuration" timeout 10 swanctl --load-all --file "$dir/swanctl.conf" --uri "unix://$dir/vici"
}

# The daemon writes one line for every IKE message; -> is sent, <- received.
follow_ike() {
	tail -n 0 -F --pid=$$ "$dir/aditd-a.log" 2>/dev/null |
		sed -un 's/^<[0-9]>//; /\/ike: \(->\|<-\)\| SA .* \(up\|down\)\| failed with /s/^/   /p' &
	follow_pid=$!
}

# ---- what crosses the Internet ------------------------------------------------------------------

ike_filter='(udp port 500 or (udp port 4500 and udp[8:4] = 0))'
esp_filter='(esp or (udp port 4500 and udp[8:4] != 0 and udp[4:2] > 9))'
link_filter='(arp or (ip6 and (ip6[6] = 0 or (ip6[6] = 58 and ip6[40] >= 133 and ip6[40] <= 137))))'

# Two captures: what must not be there has a file of its own, which the fast traffic cannot overflow.
watch_wire() {
	lab_in inet tcpdump -Z root -U -n -i a0 -s 64 -B 32768 -w "$dir/$1-ipsec.pcap" \
		'esp or udp port 500 or udp port 4500' >"$dir/$1-ipsec.out" 2>&1 &
	wire_pids=$!
	lab_in inet tcpdump -Z root -U -n -i a0 -w "$dir/$1-other.pcap" \
		"not (esp or udp port 500 or udp port 4500 or $link_filter)" >"$dir/$1-other.out" 2>&1 &
	wire_pids="$wire_pids $!"
	within 5 grep -q 'listening on' "$dir/$1-ipsec.out" && within 5 grep -q 'listening on' "$dir/$1-other.out"
}

count() { tcpdump -n -r "$1" ${2:+"$2"} 2>/dev/null | wc -l; }

judge_wire() {
	local esp ike other
	sleep 1 # tcpdump looks at its buffer once a second
	kill $wire_pids 2>/dev/null
	wait $wire_pids 2>/dev/null
	esp=$(count "$dir/$1-ipsec.pcap" "$esp_filter")
	ike=$(count "$dir/$1-ipsec.pcap" "$ike_filter")
	other=$(count "$dir/$1-other.pcap")
	echo "   tcpdump on inet a0: $esp ESP packets ($(count "$dir/$1-ipsec.pcap" "udp port 4500 and $esp_filter") of them in UDP), $ike IKE messages, $other of anything else"
	tcpdump -n -q -c 2 -r "$dir/$1-ipsec.pcap" "$esp_filter" 2>/dev/null | indent
	must "ESP crossed the Internet" test "$esp" -gt 0
	must "IKE crossed the Internet" test "$ike" -gt 0
	must "nothing else crossed the Internet" test "$other" -eq 0 || tcpdump -n -c 5 -r "$dir/$1-other.pcap" 2>/dev/null | indent
	summary+=("on the wire|$esp ESP, $ike IKE, $other of anything else")
}

# ---- traffic ----------------------------------------------------------------------------------------

ping_through() {
	local got
	got=$(lab_in hostA timeout 20 ping -n -c 5 -i 0.2 -W 2 "$@" 10.1.2.2 | tee -a "$dir/steps.log" | tail -2)
	echo "$got" | indent
	must "5 of 5 pings${*:+ ($*)} answered" grep -q '5 received' <<<"$got"
	summary+=("ping${*:+ $*}|$(grep -o '[0-9]* packets transmitted, [0-9]* received' <<<"$got")")
}

# gbits ARGS...: what iperf3's receiver saw.
gbits() {
	lab_in hostA timeout $((iperf_s + 15)) iperf3 -c 10.1.2.2 -t "$iperf_s" --connect-timeout 5000 -f g "$@" 2>>"$dir/steps.log" |
		tee -a "$dir/steps.log" | awk '/receiver/ { for (i = 1; i < NF; i++) if ($(i + 1) == "Gbits/sec") v = $i } END { print v }'
}

iperf_through() {
	local result speeds= ways=("hostA to hostB" "hostB to hostA") way
	lab_in hostB iperf3 -s >"$dir/iperf3-server.log" 2>&1 &
	local server=$!
	within 5 grep -q listening "$dir/iperf3-server.log"
	for way in 0 1; do
		if [ $way = 0 ]; then result=$(gbits); else result=$(gbits -R); fi
		speeds="$speeds${speeds:+, }${result:-nothing} Gbit/s ${ways[way]}"
		must "iperf3: ${result:-nothing} Gbit/s ${ways[way]}" awk -v v="${result:-0}" 'BEGIN { exit !(v > 0) }'
	done
	kill $server 2>/dev/null
	wait $server 2>/dev/null
	summary+=("iperf3|$speeds")
}

# exercise ROUND SIDES...: what every tunnel has to show once it is up.
exercise() {
	local round=$1 side
	shift
	say "Both directions have a security association"
	for side in "$@"; do
		echo "   \$ adit -i adit-demo-$side show sa"
		adit "$side" show sa 2>&1 | tee "$dir/$round-sa-$side.out" | indent
		must "gw${side^} shows a tunnel" grep -qi 'esp' "$dir/$round-sa-$side.out"
	done
	if [ "$peer" = strongswan ]; then
		echo "   \$ swanctl --list-sas"
		timeout 10 swanctl --list-sas --uri "unix://$dir/vici" 2>&1 | tee "$dir/$round-sa-charon.out" | indent
		must "charon shows a tunnel" grep -q 'INSTALLED' "$dir/$round-sa-charon.out"
	fi
	say "ping through the tunnel, small and large"
	ping_through
	ping_through -s 1200
	say "iperf3 through the tunnel, $iperf_s s each way; the hosts keep their offloads"
	iperf_through
	say "What the gateway counted"
	echo "   \$ adit -i adit-demo-a status"
	adit a status 2>&1 | indent
	echo "   \$ adit -i adit-demo-a show statistics"
	adit a show statistics 2>&1 | indent
	say "What crossed the Internet between the gateways"
	judge_wire "$round"
}

# The first packet waits in the gateway until its tunnel stands.
trigger() {
	local got
	say "hostA pings hostB: the packet matches acl lans, so aditd on gwA calls gwB"
	follow_ike
	sleep 0.3
	got=$(lab_in hostA timeout 20 ping -n -c 1 -W "$up_s" 10.1.2.2 | tee -a "$dir/steps.log" | grep -E 'time=|received')
	sleep 0.5
	kill $follow_pid 2>/dev/null
	echo "$got" | indent
	must "aditd told what it sent and received" grep -q '/ike: <- ' "$dir/aditd-a.log"
	must "the first packet was answered" grep -q ' 0% packet loss' <<<"$got"
}

stop_gateways() {
	local pids
	pids="$(ip netns pids "$(lab_ns gwA)") $(ip netns pids "$(lab_ns gwB)")"
	kill $pids 2>/dev/null
	within 10 gateways_gone || kill -9 $(ip netns pids "$(lab_ns gwA)") $(ip netns pids "$(lab_ns gwB)") 2>/dev/null
	unload
}
gateways_gone() { [ -z "$(ip netns pids "$(lab_ns gwA)")$(ip netns pids "$(lab_ns gwB)")" ]; }

# ---- the two demonstrations -----------------------------------------------------------------------------

demo_adit() {
	say "aditd on both gateways; configuration of gwA:"
	indent <"$dir/a.conf"
	watch_wire adit || failed "tcpdump on the Internet"
	start_adit b && start_adit a || return
	trigger || return
	exercise adit a b
}

demo_strongswan() {
	summary+=("--|Adit called strongSwan")
	say "Round 1: aditd on gwA calls strongSwan on gwB"
	watch_wire calls || failed "tcpdump on the Internet"
	start_charon && start_adit a || return
	trigger || return
	exercise calls a
	stop_gateways

	summary+=("--|strongSwan called Adit")
	say "Round 2: strongSwan on gwB calls aditd on gwA"
	watch_wire called || failed "tcpdump on the Internet"
	start_charon && start_adit a || return
	follow_ike
	sleep 0.3
	must "charon brought the tunnel up" timeout 20 swanctl --initiate --child lans --timeout "$up_s" --uri "unix://$dir/vici"
	sleep 0.5
	kill $follow_pid 2>/dev/null
	exercise called a
}

if [ "$(id -u)" != 0 ]; then
	echo "demo.sh: needs root: it makes network namespaces and loads BPF programs" >&2
	exit 1
fi
for program in "$build/aditd" "$build/adit" ip nsenter tcpdump iperf3 ping $([ $peer = adit ] || echo swanctl /usr/lib/ipsec/charon); do
	command -v "$program" >/dev/null || {
		echo "demo.sh: $program is missing: run make deps all" >&2
		exit 1
	}
done
exec 9>/run/lock/adit-demo.lock
flock -n 9 || { echo "demo.sh: another demo is running" >&2; exit 1; }

main() {
	local line
	trap interrupted INT TERM HUP
	trap 'finish drop' EXIT
	dir=$(mktemp -d /tmp/adit-demo.XXXXXX)
	openssl rand -hex 24 >"$dir/demo.psk"
	chmod 600 "$dir/demo.psk"
	adit_conf gw-a gw-b 198.51.100.1 10.1.1.0/24 10.1.2.0/24 >"$dir/a.conf"
	adit_conf gw-b gw-a 192.0.2.1 10.1.2.0/24 10.1.1.0/24 >"$dir/b.conf"

	say "The lab: hostA 10.1.1.2 - gwA 192.0.2.1 == Internet == gwB 198.51.100.1 - hostB 10.1.2.2"
	lab_down # what a killed demo left
	unload
	must "namespaces and wires" lab_up && "demo_$peer"

	say "Summary"
	for line in "${summary[@]}"; do printf '   %-16s%s\n' "${line%%|*}" "${line#*|}"; done
	if [ $failures = 0 ]; then
		echo "   everything worked; cleaning up"
	else
		echo "   $failures FAILED"
		end_of_logs
	fi
	trap '' INT TERM HUP
	if [ $failures = 0 ]; then finish drop; else finish keep; fi
	return $((failures > 0))
}

end_of_logs() {
	local log
	for log in "$dir"/aditd-*.log "$dir/charon.log"; do
		[ ! -s "$log" ] || { echo "   --- end of ${log##*/}" && tail -n 15 "$log" | indent; }
	done
}

main 9>&- # nothing that is started inherits the lock
exit
