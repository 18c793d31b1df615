# title: the verifier accepts every program
# wire: none
# ci: all
programs_load /adit/adit.bpf.o 6
