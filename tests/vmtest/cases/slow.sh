# wire: none
# limit: 2
sleep 100
