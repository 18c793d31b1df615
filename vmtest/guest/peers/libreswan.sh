# SPDX-License-Identifier: BSD-2-Clause
# libreswan's pluto with the kernel's ESP (xfrm), configured by ipsec.conf and told what to do by whack.
: "${libreswan_ike:=aes_gcm256-sha2_256-dh31}" # 31: x25519
: "${libreswan_esp:=aes_gcm256}"
: "${libreswan_conn:=}" # more keys of both connections; they prevail over those of gw

# A connection has one pair of subnets here (more of them in one is a shorthand for several connections), and
# connections between the same two gateways share their IKE SA.
# updown: the script that sets routes; ours are there, and its processes hold up every answer by a second.
# pfs: its default is yes, and then it refuses a CREATE_CHILD_SA request without a key exchange.  A case with
# one says libreswan_conn="pfs=yes" and the group in libreswan_esp.
peer_conf() {
	local more=$'\t'${libreswan_conn//$'\n'/$'\n\t'} # what is not indented ends a section
	cat <<END
config setup
	protostack=xfrm
	logfile=/run/vm/pluto.log
	secretsfile=/run/vm/ipsec.secrets

conn gw
	ikev2=yes
	authby=secret
	left=$(outside_of B)
	leftid=@gwb.test
	leftupdown=%disabled
	right=$(outside_of A)
	rightid=@gwa.test
	ike=$libreswan_ike
	esp=$libreswan_esp
	esn=$([ "$esn" = esn ] && echo yes || echo no)
	encapsulation=$([ "$esp" = udp ] && echo yes || echo no)
	mobike=no
	pfs=no

conn net4
	also=gw
	leftsubnet=10.1.2.0/24
	rightsubnet=10.1.1.0/24
	auto=add
$more

conn net6
	also=gw
	leftsubnet=fd00:1:2::/64
	rightsubnet=fd00:1:1::/64
	auto=add
$more
END
}

whack() { in_ gwB timeout 20 /usr/libexec/ipsec/whack "$@"; }

# pluto does not start without an NSS database, though a shared secret needs nothing of it.  It stays for the
# cases after this one.
peer_start() {
	local nss=/var/lib/ipsec/nss
	mkdir -p $nss
	[ -e $nss/cert9.db ] || certutil -N -d sql:$nss --empty-password
	peer_conf >/run/vm/ipsec.conf
	(umask 077 && echo "@gwb.test @gwa.test : PSK \"$PSK\"" >/run/vm/ipsec.secrets)
	[ ! -e /run/vm/pluto.log ] || mv /run/vm/pluto.log /run/vm/pluto-before.log # or the line waited for is there already
	in_ gwB /usr/libexec/ipsec/pluto --config /run/vm/ipsec.conf --nofork >/run/vm/pluto.out 2>&1 &
	pluto_pid=$!
	# It starts addconn, which adds what has auto=add and then has pluto listen, which reads the secrets last.
	within 15 grep -q 'loading secrets' /run/vm/pluto.log
}
# From then on, and until peer_down, it calls again (for net4) when Adit deletes the IKE SA.
peer_up() {
	whack --initiate --name net4
	whack --initiate --name net6
}
# --terminate deletes the IKE SA only with the last connection that uses it, and only by the name of the one
# it was made for: net4 as a rule, but who called may have begun with net6.
peer_down() {
	local conn
	for conn in net6 net4 net6; do whack --terminate --name $conn; done
}
peer_rekey() { # child|ike
	case $1 in
	child)
		whack --rekey-ipsec --name net4
		whack --rekey-ipsec --name net6
		;;
	ike) whack --rekey-ike --name net4 ;;
	esac
}
peer_ikes() { whack --showstates | grep -c 'established IKE SA'; }
peer_kill() {
	pkill -9 -x pluto || true
	wait "$pluto_pid" || true # its ports are free then
	ip -n gwB xfrm state flush
	ip -n gwB xfrm policy flush
}
