# title: large packets and what answers them: $peer, $esp ESP over $outside
# variants: peer=strongswan,libreswan esp=raw,udp outside=ipv4,ipv6
# wire: $esp
ends_up
adit up gwb
xfrm_insist

# First, while no host knows more than its own MTU: what they agree on must fit.
say "TCP"
for family in 4 6; do
	transfer A B $family
	transfer B A $family
done

say "with DF, towards Adit and in IPv6; host A knows nothing yet for IPv4"
too_big B A 4
too_big A B 6
too_big B A 6

say "without DF"
for size in 1400 3000 8000; do
	pings_ok -M dont -s $size -c 2
done
says '^[1-9].* fragmented ' adit show statistics # A's were cut by Adit

say "with DF, from Adit"
too_big A B 4
