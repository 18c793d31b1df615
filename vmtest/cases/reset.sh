# title: a gateway dies in the middle of traffic: $who ($peer)
# variants: peer=strongswan,libreswan who=peer-calls-again,peer-waits,adit
# wire: raw
# Both LANs talk all the time, and both gateways are told to let nothing of it out in clear.
idle=2s new='[46]' seconds=15 # when both ask for the second child at the same time, they have it twice
case $who in
peer-calls-again) idle=8s seconds=25 ;; # it is to find Adit before that one's dead peer detection comes to an end
peer-waits) new=4 ;;                    # only Adit asks
esac
adit_peer="dpd { idle $idle; interval 1s; retries 2 }"
left=0 ikes=1 # what the peer is to have of old SAs, and of IKE SAs at all
# libreswan (4.10, and 5 as well) takes INITIAL_CONTACT to be about one child SA, and leaves the other and the
# IKE SA they had until they expire; its dead peer detection does not ask about a child that was replaced.
[ "$peer-$who" != libreswan-adit ] || left=2 ikes=2
# renewed ROLE: new SAs and only these, of one IKE SA in which Adit's part is ROLE.
renewed() {
	xfrm_renewed "$before" $left "$new" &&
		[ "$(adit show ike --json | grep -oE '"role":"[a-z]*"')" = "\"role\":\"$1\"" ] &&
		[ "$(peer_ikes)" = $ikes ]
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
within $seconds renewed $role
pings_ok
talk_ends 100000 # what was lost is not the question; that they talked is
