# wire: none
skip "there is nothing to do"
