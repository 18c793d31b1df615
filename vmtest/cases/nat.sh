# title: NAT in front of $behind ($peer)
# variants: peer=strongswan,libreswan behind=adit,peer
# wire: udp
# limit: 90
# A box that masquerades stands between a gateway and the wire, and neither gateway was told:
#   behind=peer    gwA wire0 ======== wire1 gwN nat0 ---- up0 gwB
#                  192.0.2.1       192.0.2.2    10.9.9.1  10.9.9.2
esp=udp
adit_nat=yes
boxes="gwA wire0 1 gwB wire1 2"
strongswan_conn="encap = no"
libreswan_conn="encapsulation=auto"
if [ $behind = peer ]; then
	boxes="gwB wire1 2 gwA wire0 1"
	strongswan_conn+=$'\nlocal_addrs = 10.9.9.2'
	libreswan_conn+=$'\nleft=10.9.9.2'
fi
BOXES+=" gwN"

lab_up() {
	local box nic number far_box far_nic far
	read -r box nic number far_box far_nic far <<<"$boxes"
	lab_boxes
	lab_lan lanA gwA 1
	lab_lan lanB gwB 2
	lab_wire $far_box $far_nic $far $number
	lab_wire gwN $nic $number $far
	lab_ip gwN <<-END
		link add nat0 type veth peer name up0 netns $box
		link set nat0 up
		addr add 10.9.9.1/24 dev nat0
		addr add fd00:9::1/64 dev nat0 nodad
	END
	lab_ip $box <<-END
		link set up0 up
		addr add 10.9.9.2/24 dev up0
		addr add fd00:9::2/64 dev up0 nodad
		route add default via 10.9.9.1
		route add default via fd00:9::1
	END
	outside_if=wire0
	[ $box != gwA ] || outside_if=up0
	# Other ports, as where many share an address.  What has one octet is a keepalive.
	in_ gwN nft -f - <<-END
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat
				oifname "$nic" meta l4proto udp masquerade to :30000-40000
			}
			chain forward {
				type filter hook forward priority 0
				oifname "$nic" udp dport 4500 udp length 9 counter
			}
		}
	END
}

kept_alive() { in_ gwN nft list table ip nat | grep -q 'counter packets [1-9]'; }

ends_up
if [ $behind = adit ]; then
	adit up gwb
	says '"nat":"local"' adit show ike --json
	says 'encap type espinudp sport 3.... dport 4500' ip -n gwB xfrm state
else
	peer_up
	says '"nat":"remote"' adit show ike --json
	says '"remote":"192.0.2.2:3....' adit show ike --json
fi
xfrm_insist
pings_ok
transfer A B 4
transfer B A 6

# libreswan 4.10 keeps nothing alive here, not even with keep-alive=5.
[ $peer-$behind != libreswan-peer ] || exit 0
say "silence"
within 25 kept_alive
[ $behind = adit ] || says '^[1-9].* drop-keepalive' adit show statistics
pings_ok
