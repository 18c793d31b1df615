# title: a configuration of the case's own is the one that is used
# wire: none
peer_conf() { echo 'connections { mine { remote_addrs = 192.0.2.1 } }'; }
ends_up
says mine in_ gwB swanctl --list-conns
