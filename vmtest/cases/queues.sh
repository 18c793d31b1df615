# title: virtio-net with several queues, native XDP, $sockets sockets
# variants: sockets=copy,zerocopy
# boot: queues
# wire: raw
# ci: all
queues=$(ls -d /sys/class/net/wire0/queues/rx-* | wc -l)
[ "$queues" -ge 2 ] || fail "wire0 has $queues receive queue"
if [ $sockets = copy ]; then
	adit_interface="zero-copy off"
else
	IFS=.- read -r major minor _ <<<"$(uname -r)"
	((major > 6 || major == 6 && minor >= 13)) || skip "virtio-net has zero-copy since Linux 6.13"
fi
rx_packets() { in_ gwA ethtool -S wire0 | grep -E 'rx(_queue_)?[0-9]+_xdp_packets'; }

ends_up
rx_packets >/run/vm/before.txt # they count from the boot on
adit_interface_is wire0 xdp native
adit_interface_is wire0 xsk $sockets
adit_interface_is wire0 tc "$(tc_of_kernel)"
adit up gwb
xfrm_insist
pings_ok
transfer A B 4
transfer B A 4
transfer A B 6
transfer B A 6

# The device tells flows apart by their addresses and ports, and ESP has no ports: datagrams that no IKE daemon
# can use, from many ports, come in by every queue.
in_ gwB bash -c 'for n in {1..16}; do printf "not IKE" >/dev/udp/192.0.2.1/500; done'
every_queue() {
	rx_packets >/run/vm/after.txt
	paste /run/vm/before.txt /run/vm/after.txt >/run/vm/queues.txt
	[ "$(awk '$4 > $2' /run/vm/queues.txt | wc -l)" = "$queues" ]
}
within 5 every_queue
cat /run/vm/queues.txt
ping_ok A B 4
