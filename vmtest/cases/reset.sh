# title: a gateway dies in the middle of traffic: $who ($peer)
# variants: peer=strongswan who=peer-calls-again,peer-waits,adit
# wire: raw
# Both LANs talk all the time, and both gateways are told to let nothing of it out in clear.
adit_peer="dpd { idle 2s; interval 1s; retries 2 }"
talk() { # an endless ping each way in each family
	local family
	for family in 4 6; do
		in_ lanA ping -q -i 0.2 -p "$CLEAR_HEX" "$(host_of B $family)" >/dev/null 2>&1 &
		in_ lanB ping -q -i 0.2 -p "$CLEAR_HEX" "$(host_of A $family)" >/dev/null 2>&1 &
	done
}
spis() { ip -n gwB xfrm state | grep -o 'spi 0x[0-9a-f]*' | sort -u; }
# renewed ROLE: new SAs, and only these: a pair for each family, on both sides; Adit's part was ROLE.
renewed() {
	local now
	now=$(spis)
	[ "$(wc -l <<<"$now")" = 4 ] && [ -z "$(comm -12 <(echo "$before") <(echo "$now"))" ] &&
		[ "$(adit show sa --json | grep -o '"direction"' | wc -l)" = 4 ] &&
		[ "$(adit show ike --json | grep -oE '"role":"[a-z]*"')" = "\"role\":\"$1\"" ] &&
		[ "$(peer_ikes)" = 1 ]
}

ends_up
peer_guard
adit up gwb
pings_ok
before=$(spis)
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
