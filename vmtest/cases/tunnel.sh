# title: $peer, $esp ESP over $outside, $esn, Adit is $caller
# variants: peer=strongswan esp=raw,udp outside=ipv4,ipv6 esn=noesn,esn caller=initiator,responder
# wire: $esp
tunnel_up
xfrm_insist
pings_ok
