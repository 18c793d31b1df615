# SPDX-License-Identifier: BSD-2-Clause
# What a case is written with: a network, both gateways, traffic, and things to insist on.
#
#   lanA eth0 ---- lan0 gwA wire0 ======== wire1 gwB lan0 ---- eth0 lanB
#   10.1.1.2       .1      192.0.2.1       192.0.2.2   .1      10.1.2.2
#   fd00:1:1::2   ::1      2001:db8::1     2001:db8::2 ::1     fd00:1:2::2
#
# gwA is Adit.  gwB is the peer, whose ESP is this kernel's.  The wire is virtio-net; vmtest/run records it
# from outside of the guest.  Every box is a network namespace.
#
# Variables that a case may set before it calls lab_up, tunnel_up and so on (here with their defaults):
: "${peer:=strongswan}"        # which of vmtest/guest/peers
: "${outside:=ipv4}"           # ipv4 | ipv6: the addresses of the tunnel
: "${esp:=raw}"                # raw | udp: ESP as it is, or in UDP (nat-traversal forced)
: "${esn:=noesn}"              # esn | noesn
: "${adit_ike:=encryption aes256gcm16; prf sha256; dh x25519}"
: "${adit_esp:=encryption aes256gcm16}"
: "${adit_nat:=}"              # the peer's nat-traversal, if it is not what esp says
: "${adit_interface:=}"        # more keys of wire0's block
: "${adit_peer:=}"             # more keys of the peer's block
: "${adit_entry:=}"            # more keys of the policy's entries
PSK="a key that only vmtest uses"
BOXES="lanA gwA gwB lanB"

# ---- saying and insisting ------------------------------------------------------------------------

say() { echo "--- $*"; }
fail() {
	echo "failed: $*"
	exit 1
}
# skip REASON: this kernel or guest cannot do it; the case counts as skipped and says why.
skip() {
	echo "skipped: $*"
	exit 77
}
# within SECONDS CMD...: waits until CMD succeeds.
within() {
	local seconds=$1 deadline=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "not within $seconds s: $*"
		sleep 0.1
	done
}
# says PATTERN CMD...: CMD's output matches the extended regular expression, now or within 5 s: what an emulated
# machine sent may not have come yet.
says() {
	local pattern=$1 out deadline=$((SECONDS + 6))
	shift
	until out=$("$@" 2>&1) || true && grep -qE -e "$pattern" <<<"$out"; do
		[ $SECONDS -lt $deadline ] || fail "'$*' does not say /$pattern/:"$'\n'"$out"
		sleep 0.1
	done
}

# programs_load OBJECT NUMBER: the verifier accepts all its programs, which are NUMBER at least.  libbpf prints
# the verifier's log of one that is refused.
programs_load() {
	local status=0 pinned
	/usr/sbin/bpftool prog loadall "$1" /sys/fs/bpf/load >/run/vm/verifier.txt 2>&1 || status=$?
	if [ $status != 0 ]; then
		grep -v '^; ' /run/vm/verifier.txt | tail -n 60
		fail "bpftool prog loadall: $status"
	fi
	pinned=$(ls /sys/fs/bpf/load | tr '\n' ' ')
	rm -r /sys/fs/bpf/load
	[ "$(wc -w <<<"$pinned")" -ge "$2" ] || fail "only these were loaded: $pinned"
	say "$pinned"
}

# ---- the network ---------------------------------------------------------------------------------

in_() { nsenter --net="/run/netns/$1" "${@:2}"; }

# Few processes: under software emulation each costs as much as a packet through the whole gateway.
lab_boxes() {
	local box forward
	for box in $BOXES; do
		forward=0
		[ "$box" = "${box#gw}" ] || forward=1
		ip netns add "$box"
		in_ "$box" sysctl -qw net.ipv4.ip_forward=$forward net.ipv6.conf.all.forwarding=$forward \
			net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0
	done
}
# lab_ip BOX: commands of ip on standard input, in that box.
lab_ip() { ip -n "$1" -batch -; }

# lab_lan HOST GATEWAY NET: the host with its LAN, 10.1.NET.0/24 and fd00:1:NET::/64.
lab_lan() {
	lab_host "$@"
	lab_ip "$2" <<-END
		link set lo up
		link set lan0 up
		addr add 10.1.$3.1/24 dev lan0
		addr add fd00:1:$3::1/64 dev lan0 nodad
	END
}
lab_host() { # the same without what is the gateway's
	lab_ip "$1" <<-END
		link set lo up
		link add eth0 type veth peer name lan0 netns $2
		link set eth0 up
		addr add 10.1.$3.2/24 dev eth0
		addr add fd00:1:$3::2/64 dev eth0 nodad
		route add default via 10.1.$3.1
		route add default via fd00:1:$3::1
	END
}
lab_up() {
	lab_boxes
	lab_lan lanA gwA 1
	lab_lan lanB gwB 2
	lab_wire gwA wire0 1 2
	lab_wire gwB wire1 2 1
}
lab_wire() { # lab_wire BOX NIC OWN OTHER
	ip link set "$2" netns "$1"
	local outside
	outside=$(lab_outside "$1" "$2")
	[ "$1" = gwB ] || outside_if=$outside
	lab_ip "$1" <<-END
		link set $2 up
		link set $outside up
		addr add 192.0.2.$3/24 dev $outside
		addr add 2001:db8::$3/64 dev $outside nodad
		route add default via 192.0.2.$4
		route add default via 2001:db8::$4
	END
}
# lab_outside BOX NIC: makes the interface that BOX uses outside, and prints its name.  A case may define its
# own: a VLAN, a bridge...
lab_outside() { echo "$2"; }

lab_pids() { for box in /run/netns/*; do ip netns pids "${box##*/}" 2>/dev/null; done; }
# Everything that a case may have left.
lab_clean() {
	local nic
	kill -9 $(lab_pids) 2>/dev/null
	for _ in {1..50}; do [ -n "$(lab_pids)" ] || break; sleep 0.1; done # --unload refuses while one lives
	[ ! -e /sys/fs/bpf/adit ] || in_ gwA /adit/aditd -i vm --unload # before its NIC leaves: tcx would go along
	for nic in wire0 wire1; do # a namespace that goes away may take its time to give the NIC back
		for box in /run/netns/gw*; do
			[ ! -e "$box" ] || ip -n "${box##*/}" link set "$nic" down netns 1 2>/dev/null
		done
		ip link set "$nic" xdp off 2>/dev/null
		tc qdisc del dev "$nic" clsact 2>/dev/null
		ip link set "$nic" mtu 1500
	done
	for box in /run/netns/*; do [ ! -e "$box" ] || ip netns del "${box##*/}"; done
	rm -rf /run/adit /run/vm /sys/fs/bpf/adit /run/charon* /run/pluto /etc/swanctl/conf.d
	mkdir -p /run/vm
}
# Left with the artefacts, whatever the outcome.
lab_evidence() {
	local f
	for f in /run/vm/*; do [ ! -f "$f" ] || cp "$f" /out/; done
	[ ! -S /run/adit/vm/control ] && [ ! -S /run/adit/adit/control ] || adit status --json >/out/adit-status.json 2>&1 || :
	[ ! -d /run/systemd/system ] || journalctl -o short-monotonic >/out/journal.txt 2>&1
	[ ! -e /run/netns/gwA ] || { ip -n gwA -s -d addr && ip -n gwA route; } >/out/gwA-ip.txt 2>&1
	[ ! -e /run/netns/gwB ] || {
		ip -n gwB -s -d addr
		ip -n gwB -s xfrm state | sed -E 's/(aead|enc|auth-trunc|auth) ([^ ]+) 0x[0-9a-f]+/\1 \2 .../'
		ip -n gwB -s xfrm policy
	} >/out/gwB-ip.txt 2>&1
	return 0
}

# ---- Adit on gwA ---------------------------------------------------------------------------------

adit() { in_ gwA /adit/adit -i vm "$@"; }

outside_of() { # outside_of A|B
	case $outside-$1 in
	ipv4-A) echo 192.0.2.1 ;;
	ipv4-B) echo 192.0.2.2 ;;
	ipv6-A) echo 2001:db8::1 ;;
	ipv6-B) echo 2001:db8::2 ;;
	esac
}

# The configuration of a case that does not bring its own.  Two entries: IPv4 and IPv6 inside.
adit_conf() {
	local nat=$adit_nat
	[ -n "$nat" ] || nat=$([ "$esp" = raw ] && echo no || echo force)
	cat <<END
interface $outside_if { role outside; policy map1; $adit_interface }
interface lan0 { role inside }
ike-proposal p1 { $adit_ike }
esp-proposal e1 { $adit_esp; esn $([ "$esn" = esn ] && echo yes || echo no) }
peer gwb {
	version 2
	remote $(outside_of B)
	local-id fqdn:gwa.test
	remote-id fqdn:gwb.test
	psk file:gw.psk
	ike p1
	nat-traversal $nat
	$adit_peer
}
acl lans4 { 5 permit ip 10.1.1.0/24 -> 10.1.2.0/24 }
acl lans6 { 5 permit ip fd00:1:1::/64 -> fd00:1:2::/64 }
policy map1 {
	10 isakmp { peer gwb; acl lans4; esp e1; trigger traffic; $adit_entry }
	20 isakmp { peer gwb; acl lans6; esp e1; trigger traffic; $adit_entry }
}
END
}

adit_answers() {
	local status=0
	adit status >/dev/null 2>&1 || status=$?
	[ $status != 69 ]
}
adit_start() {
	adit_conf >/run/vm/adit.conf
	(umask 077 && echo "$PSK" >/run/vm/gw.psk)
	/adit/adit check /run/vm/adit.conf
	nsenter --net=/run/netns/gwA /adit/aditd -f /run/vm/adit.conf -i vm >>/run/vm/aditd.log 2>&1 & # not in_, for its PID
	adit_pid=$!
	within 15 adit_answers
}

# ---- the peer on gwB: peers/NAME.sh has
#   peer_conf            prints its configuration, from the variables above
#   peer_start           its daemon with that configuration, ready to answer
#   peer_up              it calls: an SA for each family
#   peer_down            it deletes the IKE SA with its children
#   peer_rekey child|ike it replaces both children, or the IKE SA
#   peer_ikes            the number of its IKE SAs
#   peer_kill            it dies without a word, and what it had in the kernel goes with it, as in a power cut
# --------------------------------------------------------------------------------------------------

# Both ends running.  Nobody has called yet.
ends_up() {
	local own # the case's own configuration prevails
	own=$(declare -f peer_conf || true)
	. "/vmtest/guest/peers/$peer.sh"
	eval "$own"
	lab_up
	peer_start
	adit_start
}

# adit_interface_is NAME KEY VALUE: as `adit show interface` tells it (xdp, tc, xsk: copy or zerocopy, fast_path).
adit_interface_is() {
	says "\"name\":\"$1\",[^}]*\"$2\":\"$3\"" adit --json show interface
}
# tcx where the kernel has it, clsact where not; its symbols tell, and not its version.
tc_of_kernel() {
	if grep -qE ' (tcx_inc|tcx_prog_attach)$' /proc/kallsyms; then echo tcx; else echo clsact; fi
}

# The kernel's own view of what was negotiated: two SAs for each family, as asked for.
xfrm_insist() {
	local states
	states=$(ip -n gwB xfrm state)
	[ "$(grep -c '^src' <<<"$states")" -ge 4 ] || fail "fewer than 4 SAs in the peer's kernel:"$'\n'"$states"
	case $esp in
	raw) ! grep -q 'encap type' <<<"$states" || fail "ESP is in UDP, raw ESP was wanted" ;;
	udp) [ "$(grep -c 'encap type espinudp' <<<"$states")" -ge 4 ] || fail "not all ESP is in UDP" ;;
	esac
	case $esn in
	esn) [ "$(grep -cE 'flag .*esn' <<<"$states")" -ge 4 ] || fail "not all SAs have ESN" ;;
	noesn) ! grep -qE 'flag .*esn' <<<"$states" || fail "ESN was not wanted" ;;
	esac
}

# What Adit does by itself, for the peer's kernel: without an SA, nothing of its LAN leaves.
peer_guard() {
	in_ gwB nft -f - <<-'END'
		table inet guard {
			chain forward {
				type filter hook forward priority 0
				oifname "wire1" rt ipsec missing drop
			}
		}
	END
}

# The SPIs of the SAs in the peer's kernel.  0 is none: the kernel asks for an SA that is not there yet.
xfrm_spis() {
	local states
	states=$(ip -n gwB xfrm state) || return
	sed -nE 's/.*(spi 0x[0-9a-f]+).*/\1/p' <<<"$states" | grep -v ' 0x00000000$' | sort -u || true
}
# xfrm_renewed BEFORE [LEFT [NEW]]: there are four new SAs on both sides (or as many as the pattern NEW says), and
# LEFT (0) of those that were there BEFORE.
xfrm_renewed() {
	local now new
	now=$(xfrm_spis)
	new=$(grep -cvxF -e "$1" <<<"$now") || true
	[[ $new = ${3:-4} ]] && [ "$(grep -cxF -e "$1" <<<"$now")" = "${2:-0}" ] &&
		[ "$(adit show sa --json | grep -o '"direction"' | wc -l)" = "$new" ]
}
xfrm_gone() {
	local spis
	spis=$(xfrm_spis) && [ -z "$spis" ]
}
adit_gone() { adit show sa --json | grep -q '"sas":\[\]'; }

# ---- traffic -------------------------------------------------------------------------------------
# What hosts send carries CLEAR, and vmtest/run looks for it on the wire.
CLEAR="this is clear text that no wire may carry"
CLEAR_HEX=$(printf %s "$CLEAR" | head -c 16 | od -An -tx1 | tr -d ' \n')

host_of() { # host_of A|B 4|6
	case $1$2 in A4) echo 10.1.1.2 ;; A6) echo fd00:1:1::2 ;; B4) echo 10.1.2.2 ;; B6) echo fd00:1:2::2 ;; esac
}
# ping_any FROM TO 4|6 [MORE PING OPTIONS]: one at least is answered.
ping_any() {
	local from=$1 to=$2 family=$3
	shift 3
	in_ "lan$from" ping -q -c 3 -i 0.05 -W 3 -p "$CLEAR_HEX" "$@" "$(host_of "$to" "$family")"
}
# ping_ok: the same, and every one is answered.  Twice, because ping waits only two round trips for its last answer
# once it had others, and an emulated machine may stop for longer; what Adit loses, it loses both times.
ping_ok() {
	local out try
	for try in 1 2; do
		out=$(ping_any "$@") && grep -q ' 0% packet loss' <<<"$out" && return
	done
	fail "ping $*:"$'\n'"$out"
}
pings_ok() {
	local family
	for family in 4 6; do
		ping_ok A B $family "$@"
		ping_ok B A $family "$@"
	done
}
# ping_lost FROM TO: not one is answered, in neither family.
ping_lost() {
	local family status
	for family in 4 6; do
		status=0
		ping_any "$1" "$2" $family -W 1 || status=$?
		[ $status = 1 ] || fail "a ping from $1 to $2, IPv$family, was answered, or could not be sent: $status"
	done
}
# talk: an endless ping each way in each family, until talk_ends MOST: no more than so many were not answered.
talk() {
	local family
	talk_pids=()
	for family in 4 6; do
		in_ lanA ping -i 0.2 -p "$CLEAR_HEX" "$(host_of B $family)" >/run/vm/talk-A$family.txt 2>&1 &
		talk_pids+=($!)
		in_ lanB ping -i 0.2 -p "$CLEAR_HEX" "$(host_of A $family)" >/run/vm/talk-B$family.txt 2>&1 &
		talk_pids+=($!)
	done
}
talk_ends() {
	local sent lost=0 file answered last
	in_ lanA pkill -INT -x ping # it ends with its numbers; its PID here is that of a subshell
	wait "${talk_pids[@]}" || true
	sleep 0.5 # what is on its way arrives before the case takes SAs away: a peer without a guard answers in clear then
	for file in /run/vm/talk-*.txt; do
		read -r sent answered last <<<"$(awk '
			match($0, /icmp_seq=[0-9]+/) && / time=/ && !/DUP/ { answered++; last = substr($0, RSTART + 9, RLENGTH - 9) }
			/transmitted/ { sent = $1 }
			END { print sent + 0, answered + 0, last + 0 }' "$file")"
		[ "$sent" -ge 10 ] || fail "hardly anybody talked: $(<"$file")"
		# The last two, of 0.4 s, may be on their way still.  More is a silence, and counts.
		[ $((sent - last)) -gt 2 ] || sent=$last
		say "${file##*-}: $((sent - answered)) of $sent packets lost"
		lost=$((lost + sent - answered))
	done
	[ "$lost" -le "$1" ] || fail "that is more than $1"
}
# Neither host has a packet of a transfer to repeat: no socket but in LISTEN (0A) or TIME_WAIT (06).
transfer_over() {
	local box
	for box in lanA lanB; do
		! in_ $box grep -qE ':1E61 ([0-9A-F]+:[0-9A-F]{4} )?0[1-57-9B] ' /proc/self/net/tcp /proc/self/net/tcp6 || return
	done
}
# transfer FROM TO 4|6: some hundred KiB by TCP, numbered so that what is out of place shows.
transfer() {
	local to
	to=$(host_of "$2" "$3")
	[ -s /run/file ] || awk -v text="$CLEAR" 'BEGIN { for (n = 0; n < 8000; n++) print n, text }' >/run/file
	in_ "lan$2" nc -l -p 7777 </dev/null >/run/got &
	local listener=$!
	within 5 in_ "lan$2" grep -q ':1E61 .* 0A ' /proc/self/net/tcp /proc/self/net/tcp6
	in_ "lan$1" timeout 20 bash -c "cat /run/file >/dev/tcp/$to/7777" || fail "TCP from $1 to $2, IPv$3"
	wait $listener
	cmp /run/file /run/got || fail "what $2 got by TCP, IPv$3, is not what $1 sent"
	within 10 transfer_over
}
# too_big FROM TO 4|6: a packet with DF that fills the LAN is answered by a gateway, which names a smaller MTU,
# and one of that size goes through.  Once for each direction and family: the host remembers what it was told.
too_big() {
	local to out mtu header=28
	to=$(host_of "$2" "$3")
	[ "$3" = 4 ] || header=48
	out=$(in_ "lan$1" ping -c 1 -W 2 -M do -s $((1500 - header)) -p "$CLEAR_HEX" "$to" 2>&1) || true
	mtu=$(sed -nE 's/^From .*mtu ?= ?([0-9]+).*/\1/p' <<<"$out") # and not "ping: local error"
	[ -n "$mtu" ] || fail "no answer 'too big' to $1, IPv$3:"$'\n'"$out"
	[ "$mtu" -lt 1500 ] && [ "$mtu" -ge 1280 ] || fail "a strange MTU in it: $mtu"
	say "IPv$3 from $1: too big, MTU $mtu"
	ping_ok "$1" "$2" "$3" -M do -s $((mtu - header))
}
