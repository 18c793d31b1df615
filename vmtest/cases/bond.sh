# title: the uplink is a bond ($on): generic XDP whatever is asked for, nothing in in clear
# variants: on=auto,native,vlan,service
# wire: raw
# limit: 180
# What a member takes in belongs to the bond.  Its second member leads to a stranger, who sends clear text only.
tag=
case $on in
native) adit_interface="xdp native" ;;
vlan) tag="id 100" ;;
service) tag="proto 802.1ad id 100" ;;
esac
lab_outside() {
	lab_ip "$1" <<-END
		link set $2 down
		link add bond0 type bond mode active-backup miimon 100 all_slaves_active 1
		link set $2 master bond0
		link set bond0 up
	END
	[ -n "$tag" ] || { echo bond0 && return; }
	ip -n "$1" link add link bond0 name bond0.100 type vlan $tag
	echo bond0.100
}
# A box whose frames come in by the bond of gwA, from the address of a host behind the other gateway.
stranger_up() {
	local mac at=v1
	mac=$(ip -n gwA -br link show "$outside_if" | awk '{ print $3 }')
	ip netns add strange
	lab_ip gwA <<-END
		link add v0 type veth peer name v1 netns strange
		link set v0 master bond0
	END
	ip -n strange link set v1 up
	if [ -n "$tag" ]; then
		at=v1.100
		ip -n strange link add link v1 name $at type vlan $tag
	fi
	lab_ip strange <<-END
		link set $at up
		addr add 10.1.2.2/32 dev $at
		addr add fd00:1:2::2/128 dev $at nodad
		route add 10.1.1.2 dev $at src 10.1.2.2
		route add fd00:1:1::2 dev $at src fd00:1:2::2
		neigh add 10.1.1.2 lladdr $mac dev $at nud permanent
		neigh add fd00:1:1::2 lladdr $mac dev $at nud permanent
	END
}
echoes() { # what lanA was asked, in both families
	in_ lanA awk '/^Icmp: [0-9]/ { n += $10 } /^Icmp6InEchos / { n += $2 } END { print n + 0 }' /proc/self/net/snmp /proc/self/net/snmp6
}
# dropped NUMBER: at least so many were.
dropped() {
	local n
	n=$(adit --json show statistics | grep -oE '"name":"drop-front-recheck","sentence":"[^"]*","count":[0-9]+' | grep -oE '[0-9]+$')
	[ "$n" -ge "$1" ]
}
ends_up
adit_interface_is "$outside_if" xdp generic
says '"xdp_why":"native XDP of a bond' adit --json show interface
says 'mtu [0-9]+ xdpgeneric ' ip -n gwA link show "$outside_if"
[[ $(ip -n gwA link show wire0) != *xdp* ]] || fail "a member has a program"
if [ "$on" = native ]; then
	says '"warnings":\[[^]]*bond0: xdp is native in the configuration' adit --json status
else
	says '"warnings":\[\]' adit --json status
fi

adit up gwb
xfrm_insist
pings_ok
transfer A B 4
transfer B A 6

stranger_up
before=$(echoes)
in_ strange ping -q -c 6 -i 0.2 -W 1 10.1.1.2 && fail "a stranger is answered" || true
in_ strange ping -q -c 6 -i 0.2 -W 1 fd00:1:1::2 && fail "a stranger is answered, IPv6" || true
within 5 dropped 12
[ "$(echoes)" = "$before" ] || fail "clear text came in: $((($(echoes) - before))) echo requests"
pings_ok
