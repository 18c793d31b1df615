# title: ESP in fragments, from a host that does not know the MTU of the path: $peer, $esp ESP over $outside
# variants: peer=strongswan,libreswan esp=raw,udp outside=ipv4,ipv6
# wire: $esp
# Linux seals an IPv4 packet without DF whole, and then fragments the envelope.
ends_up
adit up gwb
xfrm_insist

for size in 1472 3000; do
	ping_ok B A 4 -M dont -s $size
	ping_ok A B 4 -M dont -s $size
done
says '^[1-9].* pass-fragment ' adit show statistics
says '^[1-9].* esp-handed-on ' adit show statistics
