# title: $peer, $esp ESP over $outside, $esn; both call, both delete
# variants: peer=strongswan,libreswan esp=raw,udp outside=ipv4,ipv6 esn=noesn,esn
# wire: $esp
ends_up

say "Adit calls"
adit up gwb
xfrm_insist
pings_ok

say "Adit deletes"
adit down gwb
within 5 xfrm_gone
within 5 adit_gone

say "the peer calls"
peer_up
xfrm_insist
pings_ok

say "the peer deletes"
peer_down
within 5 xfrm_gone
within 5 adit_gone

say "traffic calls"
within 15 ping_any A B 4 -c 1 -W 1
within 15 ping_any A B 6 -c 1 -W 1
xfrm_insist
