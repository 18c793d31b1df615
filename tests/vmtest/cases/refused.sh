# wire: none
programs_load /vmtest/cases/refused.bpf.o 1
