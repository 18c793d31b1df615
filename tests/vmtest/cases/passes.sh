# wire: none
say "this case is fine"
