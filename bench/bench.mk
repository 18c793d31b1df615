# The benchmark's own tool, with its own BPF programs; nothing of Adit is in it.
bench_src  := $(wildcard bench/*.c)
bench_bpf  := $(wildcard bench/*.bpf.c)
bench_obj  := $(patsubst bench/%.c,$(B)/bench/%.o,$(filter-out $(bench_bpf),$(bench_src)))
bench_skel := $(bench_bpf:bench/%.bpf.c=$(B)/bench/%.skel.h)

$(B)/bench/%.bpf.o: bench/%.bpf.c $(BPF_MACHINE) $(wildcard bench/*.h)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  BPF   $<")
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@
$(B)/bench/%.skel.h: $(B)/bench/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.tmp && mv $@.tmp $@
$(bench_obj): $(B)/bench/%.o: bench/%.c $(bench_skel) $(MACHINE)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(COMPILE) -I$(B) -c $< -o $@
$(B)/bench/xskfwd: $(bench_obj)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lxdp -lbpf -lelf -lz -lcrypto @$(B)/with.libs
-include $(bench_obj:.o=.d)
