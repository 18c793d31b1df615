# title: large packets and what answers them: $peer, $esp ESP over $outside
# variants: peer=strongswan esp=raw,udp outside=ipv4,ipv6
# wire: $esp
ends_up
adit up gwb
xfrm_insist

set +e
for f in 4 6; do for s in 1400 3000 8000; do
say $f $s
in_ lanA ping -q -c 2 -i 0.2 -W 1 -M dont -s $s -p "$CLEAR_HEX" $(host_of B $f) | grep transm
in_ lanB ping -q -c 2 -i 0.2 -W 1 -M dont -s $s -p "$CLEAR_HEX" $(host_of A $f) | grep transm
done; done
adit show statistics
for f in 4 6; do
(too_big A B $f $((f == 4 ? 1472 : 1452)))
(too_big B A $f $((f == 4 ? 1472 : 1452)))
done
for f in 4 6; do
(time transfer A B $f 300)
(time transfer B A $f 300)
done
true
