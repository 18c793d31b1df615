# SPDX-License-Identifier: BSD-2-Clause
# strongSwan's charon with the kernel's ESP (kernel-netlink), configured through swanctl.
: "${strongswan_ike:=aes256gcm16-prfsha256-x25519}"
: "${strongswan_esp:=aes256gcm16}"
: "${strongswan_conn:=}"  # more keys of the connection
: "${strongswan_child:=}" # more keys of both children

peer_conf() {
	local suffix=-noesn
	[ "$esn" = noesn ] || suffix=-esn
	cat <<END
connections { gw {
	version = 2
	local_addrs = $(outside_of B)
	remote_addrs = $(outside_of A)
	proposals = $strongswan_ike
	encap = $([ "$esp" = udp ] && echo yes || echo no)
	mobike = no
	$strongswan_conn
	local { auth = psk
		id = gwb.test }
	remote { auth = psk
		id = gwa.test }
	children {
		net4 { local_ts = 10.1.2.0/24
			remote_ts = 10.1.1.0/24
			esp_proposals = $strongswan_esp$suffix
			$strongswan_child }
		net6 { local_ts = fd00:1:2::/64
			remote_ts = fd00:1:1::/64
			esp_proposals = $strongswan_esp$suffix
			$strongswan_child }
	}
} }
secrets { ike-1 { id-a = gwa.test
	id-b = gwb.test
	secret = "$PSK"
} }
END
}

peer_start() {
	mkdir -p /etc/swanctl
	peer_conf >/run/vm/swanctl.conf
	cat >/etc/strongswan.conf <<END
charon {
	load = random nonce openssl aes sha1 sha2 hmac kdf gcm curve25519 gmp pem pkcs1 x509 pubkey kernel-netlink socket-default vici updown
	retransmit_tries = 3
	keep_alive = 5
	filelog { log { path = /run/vm/charon.log
		default = 1
		ike = 2
		knl = 2
		flush_line = yes
	} }
	syslog { daemon { default = -1 }
		auth { default = -1 } }
}
END
	rm -f /run/charon.*
	in_ gwB /usr/lib/ipsec/charon >/run/vm/charon.out 2>&1 &
	within 15 test -S /run/charon.vici
	in_ gwB swanctl --load-all --file /run/vm/swanctl.conf >/run/vm/swanctl.out 2>&1
}
peer_up() {
	in_ gwB swanctl --initiate --child net4 --timeout 20
	in_ gwB swanctl --initiate --child net6 --timeout 20
}
peer_down() { in_ gwB swanctl --terminate --ike gw --timeout 10; }
peer_rekey() { # child|ike
	case $1 in
	child)
		in_ gwB swanctl --rekey --child net4
		in_ gwB swanctl --rekey --child net6
		;;
	ike) in_ gwB swanctl --rekey --ike gw ;;
	esac
}
peer_ikes() { in_ gwB swanctl --list-sas | grep -c '^gw: '; }
peer_kill() {
	pkill -9 -x charon || true
	ip -n gwB xfrm state flush
	ip -n gwB xfrm policy flush
}
