# title: other algorithms, $suite ($peer); both call
# variants: peer=strongswan,libreswan suite=gcm128,cbc256,cbc128,cbc512,pfs
# wire: raw
# ci: no
# What Adit has, the peer in its own words, and what the peer's kernel says of each SA.
case $suite in
gcm128)
	adit_ike="encryption aes128gcm16; prf sha384; dh ecp256"
	adit_esp="encryption aes128gcm16"
	strongswan_ike=aes128gcm16-prfsha384-ecp256
	strongswan_esp=aes128gcm16
	libreswan_ike=aes_gcm128-sha2_384-dh19
	libreswan_esp=aes_gcm128
	sa='aead rfc4106\(gcm\(aes\)\) 0x[0-9a-f]{40} 128'
	;;
cbc256)
	adit_ike="encryption aes256; integrity sha256; dh modp2048"
	adit_esp="encryption aes256; integrity sha256"
	strongswan_ike=aes256-sha256-prfsha256-modp2048
	strongswan_esp=aes256-sha256
	libreswan_ike=aes256-sha2_256-dh14
	libreswan_esp=aes256-sha2_256
	sa='auth-trunc hmac\(sha256\) 0x[0-9a-f]{64} 128 enc cbc\(aes\) 0x[0-9a-f]{64}'
	;;
cbc128) # and the group is not the first that the caller tries
	adit_ike="encryption aes128; integrity sha384; prf sha384; dh x25519 ecp384"
	adit_esp="encryption aes128; integrity sha384"
	strongswan_ike=aes128-sha384-prfsha384-ecp384
	strongswan_esp=aes128-sha384
	libreswan_ike=aes128-sha2_384-dh20
	libreswan_esp=aes128-sha2_384
	sa='auth-trunc hmac\(sha384\) 0x[0-9a-f]{96} 192 enc cbc\(aes\) 0x[0-9a-f]{32}'
	;;
cbc512)
	adit_ike="encryption aes256; integrity sha512; prf sha512; dh ecp384"
	adit_esp="encryption aes256; integrity sha512"
	strongswan_ike=aes256-sha512-prfsha512-ecp384
	strongswan_esp=aes256-sha512
	libreswan_ike=aes256-sha2_512-dh20
	libreswan_esp=aes256-sha2_512
	sa='auth-trunc hmac\(sha512\) 0x[0-9a-f]{128} 256 enc cbc\(aes\) 0x[0-9a-f]{64}'
	;;
pfs) # the second child has a key exchange of its own
	adit_entry="pfs ecp256"
	strongswan_esp=aes256gcm16-ecp256
	libreswan_esp='aes_gcm256;dh19'
	libreswan_conn=pfs=yes
	sa='aead rfc4106\(gcm\(aes\)\) 0x[0-9a-f]{72} 128'
	;;
esac
all_sas() { # each of the four is as wanted
	local states
	states=$(ip -n gwB xfrm state | tr -s '\n\t ' ' ')
	[ "$(grep -oE "$sa" <<<"$states" | wc -l)" = 4 ] || fail "not 4 SAs with $sa:"$'\n'"$states"
}

ends_up
say "Adit calls"
adit up gwb
xfrm_insist
all_sas
pings_ok -c 2
[ $suite != pfs ] || says '-> .* CREATE_CHILD_SA request .*KE' cat /run/vm/aditd.log
adit down gwb
within 5 xfrm_gone

say "the peer calls"
peer_up
all_sas
pings_ok -c 2
[ $suite != pfs ] || says '<- .* CREATE_CHILD_SA request .*KE' cat /run/vm/aditd.log
