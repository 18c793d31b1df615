# title: a gateway dies in the middle of traffic: $who ($peer)
# variants: peer=strongswan who=peer-calls-again,peer-waits,adit
# wire: raw
# Both LANs talk all the time, and both gateways are told to let nothing of it out in clear.
adit_peer="dpd { idle 2s; interval 1s; retries 2 }"
# renewed ROLE: new SAs and only these, of one IKE SA in which Adit's part is ROLE.
renewed() {
	xfrm_renewed "$before" &&
		[ "$(adit show ike --json | grep -oE '"role":"[a-z]*"')" = "\"role\":\"$1\"" ] &&
		[ "$(peer_ikes)" = 1 ]
}

ends_up
peer_guard
adit up gwb
pings_ok
before=$(xfrm_spis)
talk
sleep 1

role=initiator
case $who in
peer-*)
	say "the peer dies and comes back"
	peer_kill
	sleep 1
	peer_start
	if [ "$who" = peer-calls-again ]; then
		role=responder
		peer_up || true # the second child: Adit's traffic may have asked for it first
	fi
	;;
adit)
	say "Adit dies"
	kill -9 "$adit_pid"
	sleep 1
	ping_lost A B
	ping_lost B A
	say "and comes back"
	adit_start
	;;
esac
within 15 renewed $role
pings_ok
