# title: $who replaces the $what SA under traffic ($peer)
# variants: peer=strongswan,libreswan who=peer,adit what=child,ike
# wire: raw
case $who-$what in
adit-child) adit_esp="$adit_esp; lifetime 10s" ;;
adit-ike) adit_ike="$adit_ike; lifetime 10s" ;;
esac
ike_spi() { adit show ike --json | grep -oE '"spi_initiator":"[^"]*"'; }
# One IKE SA on both sides, and it is another.
ike_renewed() {
	local now
	now=$(ike_spi)
	[ "$(wc -l <<<"$now")" = 1 ] && [ "$now" != "$1" ] && [ "$(peer_ikes)" = 1 ]
}

ends_up
adit up gwb
ike=$(ike_spi)
children=$(xfrm_spis)
talk
sleep 2
[ $who = adit ] || peer_rekey $what
if [ $what = child ]; then
	within 15 xfrm_renewed "$children"
	[ "$(ike_spi)" = "$ike" ] || fail "the IKE SA was replaced, too"
else
	within 15 ike_renewed "$ike"
	[ "$(xfrm_spis)" = "$children" ] || fail "the child SAs were replaced, too"
fi
sleep 2 # long enough for talk_ends to see that nothing comes any more
talk_ends 2

say "what replaced it works"
adit down gwb
within 5 xfrm_gone
