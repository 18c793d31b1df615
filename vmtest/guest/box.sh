# SPDX-License-Identifier: BSD-2-Clause
# For cases with "boot: systemd".  gwA is the guest itself: Debian's systemd boots it with what "make install" laid
# down and with the order of networking.service and cloud-init (guest/systemd), while LAN A already talks.  Everybody else is
# in boxes as in lab.sh.
#   box_world         all but the gateway: cables, hosts, the peer's daemon; a configuration in /etc/adit
#   box_boots         systemd becomes PID 1, and does what it finds to do
outside_if=wire0
adit() { /usr/local/bin/adit "$@"; }
in_box() { in_ gwA "$@"; }

box_world() {
	mkdir -p /run/vm /etc/adit
	ip netns attach gwA 1
	BOXES="lanA gwB lanB" lab_boxes
	lab_host lanA gwA 1
	lab_lan lanB gwB 2
	lab_wire gwB wire1 2 1
	. "/vmtest/guest/peers/$peer.sh"
	peer_guard # what its own LAN sends is not to blur the picture
	peer_start
	box_configure
	systemctl -q mask $BOX_WITHOUT
	systemctl -q enable aditd
}
# What a gateway's boot does not need, and takes seconds of an emulated machine.
BOX_WITHOUT="dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
	proc-sys-fs-binfmt_misc.automount kmod-static-nodes.service modprobe@.service systemd-random-seed.service
	systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-journal-flush.service
	systemd-journald-audit.socket systemd-initctl.socket systemd-ask-password-console.path
	systemd-ask-password-wall.path systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service
	systemd-tmpfiles-clean.timer systemd-user-sessions.service systemd-logind.service systemd-repart.service systemd-binfmt.service
	systemd-sysext.service systemd-firstboot.service getty.target"

# box_configure: a good configuration.
box_configure() {
	adit_conf >/etc/adit/adit.conf
	(umask 077 && echo "$PSK" >/etc/adit/gw.psk)
}

# box_network: what networking.service does, without systemd.
box_network() { ip -force -batch /etc/network/up; }

# LAN A asks LAN B all the time, from before the box is there, until the case ends.
box_talk() {
	local family
	# And so does the box, from its own address in the LAN, before it has one or a way to send.
	sysctl -qw net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1
	for family in 4 6; do
		in_ lanA ping -q -i 0.2 -p "$CLEAR_HEX" "$(host_of B $family)" >/run/vm/talk-A$family.txt 2>&1 &
		in_box ping -q -i 0.2 -I "$(box_inside $family)" -p "$CLEAR_HEX" "$(host_of B $family)" >/run/vm/talk-box$family.txt 2>&1 &
	done
}

box_inside() { if [ "$1" = 4 ]; then echo 10.1.1.1; else echo fd00:1:1::1; fi; }

box_boots() {
	rm -f /run/vm/before-up.txt
	echo >/run/boot
	within 90 test -S /run/systemd/private
}
# box_booted: multi-user.target was reached, whatever became of single units.
box_booted() {
	within 240 unit_is active multi-user.target
	within 60 unit_is active networking.service
}
unit_is() { [ "$(systemctl is-active "$2")" = "$1" ]; }
# unit_says PROPERTY [UNIT]
unit_says() { systemctl show -P "$1" "${2:-aditd}"; }
# aditd_again MAIN_PID: another one runs than this, and is ready.
aditd_again() { [ "$(unit_says MainPID)" != "$1" ] && unit_is active aditd; }

# What no rule names flows: the gateways reach each other.
open_flows() {
	says ' 0% packet loss' in_box ping -q -c 3 -i 0.2 -W 3 192.0.2.2
	says ' 0% packet loss' in_box ping -q -c 3 -i 0.2 -W 3 2001:db8::2
}
# The guard stands: nothing of what the rules protect is answered.  That it does not leave either, the wire says.
guard_stands() {
	ping_lost A B
	open_flows
}
