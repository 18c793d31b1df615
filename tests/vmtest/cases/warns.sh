# wire: none
echo "WARNING: CPU: 0 PID: 1 at net/core/imagined.c:1 imagined+0x1/0x2" >/dev/kmsg
