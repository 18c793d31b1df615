# Adit: one Makefile, not recursive.  Every room becomes one static library and is compiled
# with exactly the -I folders it may look into, so a wrong include does not compile.
#
#   make            build/aditd (daemon) and build/adit (command line)
#   make demo       two gateways, a tunnel, real traffic  (PEER=strongswan for the other end)
#   make test       every test there is; last line "N passed, N failed"
#   make check      unit, conversation and BPF tests under ASan and UBSan
#   make vmtest     programs and peers in guests with other kernels; make vmtest-table keeps the result in docs/
#   make hunt       things happen to a gateway at random for SECONDS=300: nothing may pass in clear
#   make lint fuzz bench deps users install clean
#   WERROR=1        warnings are errors, as they are for who works on Adit: in make check (unless WERROR= is
#                   given) and in .ci/run

B       ?= build
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(or $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool),bpftool)
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
SAN     ?=
WERROR  ?=
V       ?=
Q       := $(if $(V),,@)

# What a bare Debian needs, 12 or 13: to build, to run, to test.  Names that both have; what goes with a version of
# something else (clang's runtime) comes by the package that follows the version installed.  IPsec-MB is for Intel's
# and AMD's processors.
DEPS_BUILD = gcc make clang llvm pkg-config bpftool libbpf-dev libxdp-dev libelf-dev zlib1g-dev libssl-dev \
             libevent-dev libjansson-dev libmnl-dev libnftables-dev libseccomp-dev linux-libc-dev \
             $(if $(filter amd64,$(shell dpkg --print-architecture)),libipsec-mb-dev)
DEPS_RUN   := openssl iproute2 ethtool iperf3 iputils-ping tcpdump procps util-linux nftables
DEPS_TEST  := libcmocka-dev iptables libclang-rt-dev python3 python3-pytest python3-pytest-xdist python3-scapy python3-cryptography tshark \
              strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins \
              libstrongswan-standard-plugins
DEPS_VM    := qemu-system-x86 kmod cpio binutils zstd debian-archive-keyring mmdebstrap
DEPS_LINT  := clang-format clang-tidy cppcheck

# An end user's build does not stop at what a compiler of tomorrow warns of.
WARN     = $(if $(WERROR),-Werror) -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral
CFLAGS  ?= -O2 -g
ALLFLAGS = -std=gnu11 $(WARN) $(CFLAGS) -fno-common -fstack-protector-strong -fPIE -D_GNU_SOURCE \
           $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined,-D_FORTIFY_SOURCE=2)
LDFLAGS += $(if $(SAN),-fsanitize=$(SAN)) -pie -Wl,-z,relro,-z,now

# ---- rooms: what each may include, which rooms and libraries its users link -------------------
ROOMS := lib conf worker ike ctl daemon

inc_lib    := include lib
inc_conf   := include lib conf
inc_worker := include lib worker
inc_ike    := include lib conf ike
inc_ctl    := include lib conf worker ctl
inc_daemon := include lib conf ike worker daemon $(B)/bpf

uses_lib    := lib
uses_conf   := conf lib
uses_worker := worker lib
uses_ike    := ike conf lib
uses_ctl    := ctl conf worker lib
uses_daemon := daemon ike worker conf lib

libs_lib    :=
libs_conf   := -lcrypto
libs_worker := -lxdp -lbpf -lelf -lz -lcrypto -lseccomp @$(B)/with.libs
libs_ike    := -lbpf -lelf -lz -lcrypto -levent_core -ljansson -lseccomp
libs_ctl    := -ljansson -lcrypto @$(B)/with.libs
libs_daemon := $(libs_worker) $(libs_ike) -lmnl -lnftables

PROGRAMS := $(B)/aditd $(B)/adit
.DEFAULT_GOAL := all
.PHONY: FORCE all deps users demo test check hunt vmtest vmtest-table lint fuzz bench install clean tests format
all: $(PROGRAMS)

# ---- what this machine has -------------------------------------------------------------------
# Asked by packaging/probe when something is to be compiled.  All that is compiled depends on its answers, so comes
# after them and is built again when they change; and they come after deps where deps is wanted, with any -j.
FIRST   := $(if $(filter deps demo test hunt vmtest vmtest-table bench,$(MAKECMDGOALS)),deps)
MACHINE := $(B)/machine
BPF_MACHINE := $(B)/machine.bpf
COMPILE  = $(CC) $(ALLFLAGS) @$(B)/with.cflags -MMD -MP
quoted   = '$(subst ','\'',$(1))'
$(MACHINE) $(BPF_MACHINE) &: FORCE | $(FIRST)
	$(Q)CC=$(call quoted,$(CC)) C_FLAGS=$(call quoted,$(ALLFLAGS)) LINK_FLAGS=$(call quoted,$(LDFLAGS)) \
	    LIBS='$(filter -l%,$(libs_daemon)) -lcmocka' CLANG=$(call quoted,$(CLANG)) BPF_FLAGS=$(call quoted,$(BPF_CFLAGS)) \
	    BPFTOOL=$(call quoted,$(BPFTOOL)) packaging/probe $(B)

BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_SKEL := $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.skel.h)

define ROOM
src_$(1) := $$(sort $$(wildcard $(1)/*.c $(1)/*/*.c))
obj_$(1) := $$(src_$(1):%.c=$(B)/%.o)
$(B)/$(1).a: $$(obj_$(1))
	$$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
$(B)/$(1)/%.o: $(1)/%.c $(MACHINE)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC    $$<")
	$$(Q)$$(COMPILE) $$(addprefix -I,$$(inc_$(1))) -c $$< -o $$@
-include $$(obj_$(1):.o=.d)

# tests/ROOM/test_*.c are programs; every other .c there is help that they all link.
help_$(1)  := $$(filter-out tests/$(1)/test_%.c,$$(wildcard tests/$(1)/*.c))
tests_$(1) := $$(patsubst %.c,$(B)/%,$$(wildcard tests/$(1)/test_*.c))
$(B)/tests/$(1)/%.o: tests/$(1)/%.c $(MACHINE)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC    $$<")
	$$(Q)$$(COMPILE) $$(addprefix -I,$$(inc_$(1))) -Itests/$(1) -c $$< -o $$@
$$(tests_$(1)): %: %.o $$(help_$(1):%.c=$(B)/%.o) $$(foreach r,$$(uses_$(1)),$(B)/$$(r).a)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(libs_$(1)) -lcmocka
-include $$(tests_$(1):%=%.d) $$(help_$(1):%.c=$(B)/%.d)
.PHONY: $(1) tests-$(1)
$(1): $(B)/$(1).a
tests-$(1): $$(tests_$(1))
UNIT_TESTS += $$(tests_$(1))
endef
$(foreach r,$(ROOMS),$(eval $(call ROOM,$(r))))
.SECONDARY:

$(obj_daemon): $(BPF_SKEL)

$(B)/aditd: $(foreach r,$(uses_daemon),$(B)/$(r).a)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_daemon)
$(B)/adit: $(foreach r,$(uses_ctl),$(B)/$(r).a)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_ctl)

# ---- BPF ----------------------------------------------------------------------------------
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 $(if $(WERROR),-Werror) -Wall -Wextra -Wno-unused-parameter -Iinclude -Ibpf -I/usr/include/$(shell $(CC) -print-multiarch)
$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_MACHINE)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  BPF   $<")
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(if $(Q),@echo "  SKEL  $@")
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@.tmp && mv $@.tmp $@
-include $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.bpf.d)

# Packet fixtures run through the programs with BPF_PROG_TEST_RUN: they need the skeleton.
tests_bpf := $(patsubst %.c,$(B)/%,$(wildcard tests/bpf/test_*.c))
help_bpf  := $(filter-out tests/bpf/test_%.c,$(wildcard tests/bpf/*.c))
$(B)/tests/bpf/%.o: tests/bpf/%.c $(BPF_SKEL) $(MACHINE)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(COMPILE) -Iinclude -Ilib -I$(B)/bpf -Itests/bpf -c $< -o $@
$(tests_bpf): %: %.o $(help_bpf:%.c=$(B)/%.o) $(B)/lib.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lbpf -lelf -lz -lcmocka
-include $(tests_bpf:%=%.d) $(help_bpf:%.c=$(B)/%.d)
.PHONY: tests-bpf
tests-bpf: $(tests_bpf)
UNIT_TESTS += $(tests_bpf)

# ---- tests ----------------------------------------------------------------------------------
PYTEST_FOLDERS := $(patsubst %/,%,$(sort $(dir $(wildcard tests/*/test_*.py))))
tests: all $(UNIT_TESTS)
test: deps users tests
	$(Q)$(PYTHON) tests/run --build $(B) $(UNIT_TESTS) $(PYTEST_FOLDERS) --suite "tests/build/release trixie" --suite "vmtest/run --ci --build $(B)" $(TEST_ARGS)
vmtest vmtest-table: deps tests
	$(Q)vmtest/run --build $(B) $(if $(filter vmtest-table,$@),--table docs/vmtest.md) $(VMTEST_ARGS)
SECONDS ?= 300
hunt: deps users all
	$(Q)ADIT_BUILD=$(abspath $(B)) tests/hunt/hunt --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(HUNT_ARGS)
check: | $(FIRST)
	$(Q)$(MAKE) --no-print-directory B=build/asan SAN=address,undefined WERROR=$(if $(filter file,$(origin WERROR)),1,$(WERROR)) check-run
.PHONY: check-run
check-run: $(UNIT_TESTS)
	$(Q)$(PYTHON) tests/run --build $(B) $(UNIT_TESTS)

FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 20
build/fuzz/%: tests/fuzz/%.c $(MACHINE) $(wildcard conf/*.c ike/*.c ike/*/*.c lib/*.c)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 -g -O1 -D_GNU_SOURCE -DADIT_FUZZ -fsanitize=fuzzer,address,undefined -Iinclude -Ilib -Iconf -Iike \
	    $< $(wildcard lib/*.c) $(shell sed -n 's/^\/\* fuzz-sources: \(.*\) \*\//\1/p' $<) $(libs_ike) -o $@
fuzz: $(FUZZERS)
	$(Q)for f in $(FUZZERS); do n=$$(basename $$f); mkdir -p build/corpus/$$n; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 build/corpus/$$n $$(ls -d tests/fuzz/seeds/$$n 2>/dev/null) || exit 1; done

# include/adit is tables, aligned by hand.
C_FILES := $(wildcard $(addsuffix /*.[ch],$(ROOMS) $(addsuffix /*,$(ROOMS)) bpf bench $(addprefix tests/,$(ROOMS) bpf fuzz)))
format:
	clang-format -i $(C_FILES)
lint: $(BPF_SKEL) $(MACHINE)
	$(Q)clang-format --dry-run -Werror $(C_FILES)
	$(Q)cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
	    --suppress=missingIncludeSystem -D_GNU_SOURCE '-DLIBBPF_OPTS(T,N,...)=struct T N={0}' \
	    -Iinclude -Ilib -Iconf -Iike -Iworker -Idaemon -Ictl $(addsuffix /,$(ROOMS))
	$(Q)clang-tidy --quiet $(filter-out daemon/load.c,$(foreach r,$(ROOMS),$(src_$(r)))) -- -std=gnu11 -D_GNU_SOURCE $$(cat $(B)/with.cflags) \
	    -Iinclude -Ilib -Iconf -Iike -Iworker -Ictl -Idaemon -isystem $(B)/bpf

# ---- the rest ---------------------------------------------------------------------------------
demo: deps users all
	$(Q)ADIT_BUILD=$(abspath $(B)) tests/demo.sh $(if $(PEER),--peer $(PEER))
include bench/bench.mk
bench: deps users all $(B)/bench/xskfwd
	$(Q)$(PYTHON) bench/run --build $(B) $(BENCH_ARGS)

# Only what is missing is installed; with everything there nothing is asked of the network.
deps:
	$(Q)miss=$$(for p in $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_TEST) $(if $(filter test vmtest vmtest-table deps,$(MAKECMDGOALS)),$(DEPS_VM)) \
	    $(if $(filter lint,$(MAKECMDGOALS)),$(DEPS_LINT)); do \
	    dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$miss" ]; then echo "installing:" $$miss; apt-get update -q && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$miss; fi

.PHONY: deps-names
deps-names:
	@echo $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_TEST) $(DEPS_VM) $(DEPS_LINT)

# The unprivileged accounts that the children of aditd run as.
users:
	$(Q)for u in adit-ike adit-worker; do getent passwd $$u >/dev/null || \
	    useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin $$u; done

install: all
	install -D -m 755 $(B)/aditd $(DESTDIR)$(PREFIX)/sbin/aditd
	install -D -m 755 $(B)/adit $(DESTDIR)$(PREFIX)/bin/adit
	install -D -m 644 packaging/adit.sysusers $(DESTDIR)/usr/lib/sysusers.d/adit.conf
	install -D -m 644 packaging/aditd.service $(DESTDIR)/usr/lib/systemd/system/aditd.service
	install -d -m 755 $(DESTDIR)/etc/adit

clean:
	rm -rf build
