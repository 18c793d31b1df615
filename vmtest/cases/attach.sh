# title: programs on $on: the right XDP mode, the right TC hook, traffic
# variants: on=virtio,generic,bridge,vlan,service
# wire: raw
# limit: 120
# ci: all
case $on in
virtio) xdp=native ;;
generic) # asked for, where native would do
	xdp=generic
	adit_interface="xdp generic"
	;;
bridge) # has no XDP of its own: the fallback
	xdp=generic
	lab_outside() {
		lab_ip "$1" <<-END
			link add br0 type bridge
			link set $2 master br0
		END
		echo br0
	}
	;;
vlan | service) # the program is on the device below and finds the VLAN by its tag, 802.1Q or 802.1ad
	xdp=native
	[ $on = vlan ] || tag="proto 802.1ad id 100"
	lab_outside() {
		ip -n "$1" link set "$2" up
		ip -n "$1" link add link "$2" name "$2.100" type vlan ${tag:-id 100}
		echo "$2.100"
	}
	;;
esac
ends_up
adit_interface_is "$outside_if" xdp $xdp
adit_interface_is "$outside_if" tc "$(tc_of_kernel)"
adit_interface_is lan0 xdp native # veth

# What the kernel says: ip prints "xdp" for native, "xdpgeneric" for generic.
below=${outside_if%.100}
if [ $xdp = native ]; then says 'mtu [0-9]+ xdp ' ip -n gwA link show "$below"; else says 'mtu [0-9]+ xdpgeneric ' ip -n gwA link show "$below"; fi
says 'mtu [0-9]+ xdp ' ip -n gwA link show lan0

adit up gwb
xfrm_insist
pings_ok
transfer A B 4
transfer B A 6

say "unloaded, nothing of it is left on the devices"
kill "$adit_pid"
wait "$adit_pid" || true
in_ gwA /adit/aditd -i vm --unload
for nic in "$below" lan0; do
	link=$(ip -n gwA link show "$nic")
	[[ $link != *xdp* ]] || fail "XDP stays: $link"
done
[ -z "$(in_ gwA tc filter show dev "$outside_if" egress)" ] || fail "a filter stays on $outside_if"
