# title: clear text on the wire, and no ESP at all
# wire: raw
lab_up
in_ gwA bash -c "printf '$CLEAR' >/dev/udp/192.0.2.2/9"
within 5 in_ gwA ping -q -c 1 -W 1 192.0.2.2
