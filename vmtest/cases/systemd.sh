# title: Debian's systemd: boot, reload, restart, kill, hang and stop of the installed unit
# boot: systemd
# wire: raw
# open: yes
# limit: 500
. /vmtest/guest/box.sh
circle() { systemd-analyze --man=no verify multi-user.target 2>&1 | grep 'ordering cycle'; }
sign_of_life_after() { [ "$(unit_says WatchdogTimestampMonotonic)" != "$1" ]; }
peer_gone() { ! peer_ikes; }

box_world
box_talk

say "boot: the guard stands before there is a network, and nothing waits in a circle"
box_boots
box_booted
within 60 unit_is active aditd
for unit in cloud-init-local cloud-init; do unit_is active $unit.service || fail "$unit did not run"; done
! journalctl -b | grep -i 'ordering cycle' || fail "the boot order is a circle"
! circle || fail "the boot order is a circle: $(circle)"
sed '/^DefaultDependencies/d' /usr/lib/systemd/system/aditd.service >/etc/systemd/system/aditd.service
circle >/run/vm/circle.txt || fail "a circle is not seen where there is one: what was just said proves nothing"
rm /etc/systemd/system/aditd.service
[ "$(unit_says ActiveEnterTimestampMonotonic)" -lt "$(unit_says InactiveExitTimestampMonotonic networking)" ] ||
	fail "networking.service began before the guard stood"
grep -q 'state DOWN' /run/vm/before-up.txt && grep -q prog/xdp /run/vm/before-up.txt ||
	fail "the guard does not stand before wire0 comes up: $(</run/vm/before-up.txt)"
[ "$(tc_of_kernel)" = tcx ] || grep -q adit_egress /run/vm/before-up.txt || fail "nothing at wire0's egress before it comes up"
[ "$(unit_says NRestarts)" = 0 ] || fail "aditd had to be started again"
[[ $(unit_says StatusText) = guarding* ]] || fail "systemctl status says: $(unit_says StatusText)"
within 30 adit_answers
adit up gwb
pings_ok
open_flows

say "reload: of a good file, of a bad one"
echo "# another word" >>/etc/adit/adit.conf
systemctl reload aditd || fail "a good file is refused"
unit_is active aditd
within 30 adit_answers
within 30 ping_any A B 4
before=$(adit show sa --json)
echo "peer {" >>/etc/adit/adit.conf
! systemctl reload aditd || fail "systemd is told that a bad file is in force"
unit_is active aditd || fail "a bad file ended the daemon"
[ "$(adit show sa --json | grep -o '"spi":[^,]*')" = "$(grep -o '"spi":[^,]*' <<<"$before")" ] || fail "a bad file ended SAs"
box_configure
pings_ok

say "restart, with a watchdog that waits less"
mkdir -p /run/systemd/system/aditd.service.d
printf '[Service]\nWatchdogSec=12\n' >/run/systemd/system/aditd.service.d/sooner.conf
systemctl daemon-reload
main=$(unit_says MainPID)
systemctl restart aditd
aditd_again "$main" || fail "no other process: $main"
within 30 adit_answers
within 30 ping_any A B 4
alive=$(unit_says WatchdogTimestampMonotonic)
within 30 sign_of_life_after "$alive"

say "killed"
main=$(unit_says MainPID)
kill -9 "$main"
within 60 aditd_again "$main"
within 30 adit_answers
within 30 ping_any A B 4

say "hangs"
main=$(unit_says MainPID)
! journalctl -u aditd | grep 'Watchdog timeout' || fail "it was ended without a reason"
kill -STOP "$main"
within 60 aditd_again "$main"
says 'Watchdog timeout' journalctl -u aditd
within 30 adit_answers
within 30 ping_any A B 4
pings_ok

say "stop: goodbye is said, the guard stays"
systemctl stop aditd
[ "$(unit_says Result)" = success ] || fail "it did not end well: $(unit_says Result)"
! journalctl -u aditd | grep 'died of signal 15' || fail "systemd killed a child of aditd"
within 10 peer_gone
guard_stands
