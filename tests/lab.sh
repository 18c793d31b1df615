#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The lab: two gateways with a routed Internet between them, each box a network namespace.
#
#   hostA eth0 --- lan0 gwA wan0 --------------------- a0 inet b0 --- wan0 gwB lan0 --- eth0 hostB
#   10.1.1.2       .1      192.0.2.1                .254      .254   198.51.100.1 .1     10.1.2.2
#
#   with a NAT box:  gwA wan0 --- in0 nat out0 --- a0 inet
#                    172.16.0.1   .254    192.0.2.1 (masquerades, IPv6 too)
#
# IPv6: LANs fd00:1:1::/64 and fd00:1:2::/64, outside 2001:db8:a::/64 and 2001:db8:b::/64, behind the NAT
# box fd00:172::/64; the last group equals the last octet above.
#
#   tests/lab.sh up PREFIX [nat]      namespaces PREFIX-hostA, PREFIX-gwA, PREFIX-inet, ...
#   tests/lab.sh down PREFIX          stops what runs in them and removes them; never fails
#   tests/lab.sh in PREFIX BOX CMD... runs CMD in one box
# or source it and call lab_up, lab_down and lab_in with LAB_PREFIX set.
#
# Commands enter by nsenter and not by "ip netns exec", which mounts a new /sys and thereby hides bpffs.

LAB_BOXES="hostA gwA nat inet gwB hostB"

lab_ns() { echo "$LAB_PREFIX-$1"; }

lab_in() {
	local box=$1
	shift
	nsenter --net="/run/netns/$LAB_PREFIX-$box" "$@"
}

# lab_wire BOX1 IF1 BOX2 IF2: offloads stay as the kernel gives them.
lab_wire() {
	ip link add "$2" netns "$(lab_ns "$1")" type veth peer name "$4" netns "$(lab_ns "$3")" || return
	ip -n "$(lab_ns "$1")" link set "$2" up && ip -n "$(lab_ns "$3")" link set "$4" up
}

# lab_addr BOX IF V4/LEN V6/LEN: nodad, because a tentative address loses the first packets of a test.
lab_addr() {
	ip -n "$(lab_ns "$1")" addr add "$3" dev "$2" && ip -n "$(lab_ns "$1")" addr add "$4" dev "$2" nodad
}

# lab_default BOX V4 V6
lab_default() {
	ip -n "$(lab_ns "$1")" route add default via "$2" && ip -n "$(lab_ns "$1")" route add default via "$3"
}

lab_box() {
	ip netns add "$(lab_ns "$1")" && ip -n "$(lab_ns "$1")" link set lo up &&
		lab_in "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0
}

lab_router() {
	lab_in "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

lab_bpffs() {
	[ "$(stat -f -c %T /sys/fs/bpf 2>/dev/null)" = bpf_fs ] || mount -t bpf bpf /sys/fs/bpf
}

lab_outside_a() {
	if [ "${1:-}" != nat ]; then
		lab_wire gwA wan0 inet a0 && lab_addr gwA wan0 192.0.2.1/24 2001:db8:a::1/64 &&
			lab_default gwA 192.0.2.254 2001:db8:a::254
		return
	fi
	lab_box nat && lab_router nat && lab_wire gwA wan0 nat in0 && lab_wire nat out0 inet a0 &&
		lab_addr gwA wan0 172.16.0.1/24 fd00:172::1/64 && lab_addr nat in0 172.16.0.254/24 fd00:172::254/64 &&
		lab_addr nat out0 192.0.2.1/24 2001:db8:a::1/64 &&
		lab_default gwA 172.16.0.254 fd00:172::254 && lab_default nat 192.0.2.254 2001:db8:a::254 &&
		lab_in nat nft 'add table inet nat;
			add chain inet nat post { type nat hook postrouting priority srcnat; };
			add rule inet nat post oifname "out0" masquerade'
}

# The Internet knows the two outside networks and nothing of the LANs: what leaves a gateway in clear text
# dies there instead of working by accident.
lab_up() {
	local box
	lab_bpffs || return
	for box in hostA gwA inet gwB hostB; do lab_box "$box" || return; done
	for box in gwA inet gwB; do lab_router "$box" || return; done
	lab_wire hostA eth0 gwA lan0 && lab_wire hostB eth0 gwB lan0 && lab_outside_a "${1:-}" &&
		lab_wire gwB wan0 inet b0 &&
		lab_addr hostA eth0 10.1.1.2/24 fd00:1:1::2/64 && lab_addr gwA lan0 10.1.1.1/24 fd00:1:1::1/64 &&
		lab_addr hostB eth0 10.1.2.2/24 fd00:1:2::2/64 && lab_addr gwB lan0 10.1.2.1/24 fd00:1:2::1/64 &&
		lab_addr inet a0 192.0.2.254/24 2001:db8:a::254/64 &&
		lab_addr inet b0 198.51.100.254/24 2001:db8:b::254/64 &&
		lab_addr gwB wan0 198.51.100.1/24 2001:db8:b::1/64 &&
		lab_default hostA 10.1.1.1 fd00:1:1::1 && lab_default hostB 10.1.2.1 fd00:1:2::1 &&
		lab_default gwB 198.51.100.254 2001:db8:b::254
}

# Everything that runs in the boxes: asked to leave, then made to.
lab_stop() {
	local box pids try
	for try in 1 2 3 4 5 6 7 8 9 10 kill; do
		pids=
		for box in $LAB_BOXES; do pids="$pids $(ip netns pids "$(lab_ns "$box")" 2>/dev/null)"; done
		pids=$(echo $pids)
		[ -n "$pids" ] || return 0
		case $try in
		1) kill $pids 2>/dev/null ;;
		kill) kill -9 $pids 2>/dev/null ;;
		esac
		sleep 0.2
	done
}

lab_down() {
	local box
	lab_stop
	for box in $LAB_BOXES; do
		[ ! -e "/run/netns/$(lab_ns "$box")" ] || ip netns del "$(lab_ns "$box")" 2>/dev/null
	done
	return 0
}

lab_main() {
	local verb=${1:-}
	LAB_PREFIX=${2:-}
	if [ -z "$LAB_PREFIX" ] || [ $# -lt 2 ]; then
		echo "usage: lab.sh up PREFIX [nat] | down PREFIX | in PREFIX BOX CMD..." >&2
		return 64
	fi
	shift 2
	case $verb in
	up)
		if [ -e "/run/netns/$(lab_ns inet)" ]; then
			echo "lab.sh: $LAB_PREFIX is up already" >&2
			return 1
		fi
		lab_up "$@" && return
		echo "lab.sh: could not build $LAB_PREFIX, removing what there is" >&2
		lab_down
		return 1
		;;
	down) lab_down ;;
	in) lab_in "$@" ;;
	*)
		echo "lab.sh: what is '$verb'?" >&2
		return 64
		;;
	esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then lab_main "$@"; fi
