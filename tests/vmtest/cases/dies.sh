# title: a child of aditd dies, is started again, and nobody would notice
# wire: none
ends_up
pkill -9 -x adit-worker
within 10 grep -q 'worker started again' /run/vm/aditd.log
