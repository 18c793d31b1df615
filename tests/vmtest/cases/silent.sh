# wire: none
# open: yes
true
