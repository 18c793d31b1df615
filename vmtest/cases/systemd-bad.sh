# title: Debian's systemd boots with a bad configuration: the last good policy guards
# boot: systemd
# wire: raw
# open: yes
# limit: 400
. /vmtest/guest/box.sh
box_world

say "the life before: a good configuration is in force, then the power goes"
systemd-sysusers
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
/usr/local/sbin/aditd -f /etc/adit/adit.conf >/run/vm/before.log 2>&1 &
before=$!
box_network
within 30 adit_answers
adit up gwb
pings_ok
kill -9 $before
wait $before || true
for nic in lan0 wire0; do ip link set $nic down && ip addr flush dev $nic; done
cp -a /var/lib/adit /run/vm/kept
/usr/local/sbin/aditd --unload # as if the power had gone: all but what is on the disk
rm -rf /run/adit /var/lib/adit
cp -a /run/vm/kept /var/lib/adit
! ip link show wire0 | grep xdp || fail "something is left on wire0"

say "it comes back, and somebody has broken the file"
echo "peer {" >>/etc/adit/adit.conf
box_talk
box_boots
box_booted
! unit_is active aditd || fail "systemd says that all is well"
guard_stands
[ "$(tc_of_kernel)" = tcx ] || grep -q adit_egress /run/vm/before-up.txt || fail "nothing at wire0's egress before it comes up"

say "and mends it"
box_configure
within 60 unit_is active aditd
within 30 adit_answers
adit up gwb
pings_ok
