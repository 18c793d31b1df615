# wire: none
ls /there/is/no/such/file
