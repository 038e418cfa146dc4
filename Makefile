# SPDX-License-Identifier: GPL-2.0-only
# Quiet by default; V=1 shows commands.  O= selects the build directory,
# SAN= a sanitizer set (each SAN value gets its own object tree).
MAKEFLAGS += -rR --no-print-directory
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL := all
V ?= 0
O ?= build
SAN ?=
WERROR ?= 1
DISK_MIB ?= 300
comma := ,
B := $(O)$(if $(SAN),-$(subst $(comma),+,$(SAN)))

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
AR := ar
cflags := -std=gnu11 -O2 -g -D_GNU_SOURCE -Iessa-emu/include -I. \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wformat=2 -Wundef -fno-strict-aliasing -fno-common $(if $(filter 1,$(WERROR)),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) $(CFLAGS)
ldflags := -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

ifeq ($(V),1)
Q :=
else
Q := @
endif
msg = @$(if $(filter 1,$(V)),:,printf '  %-7s %s\n' $(1) '$(2:$(O)/%=%)')

include essa-emu/Kbuild hyp/Kbuild hyp/hypd/Kbuild hyp/mem/Kbuild hyp/sim/Kbuild tools/lab/Kbuild \
	tools/disk/Kbuild tools/trace/Kbuild tools/count/Kbuild guest-tests/Kbuild
guests := $(guest-elfs) $(guest-initrd) $(guest-disk-bin)
spec-table := $(B)/essa-emu/tools/spec-table
srcs := $(essa-tool-y) $(model-gen-y) $(essa-src-y) $(essa-emu-y) $(essa-trace-y) $(essa-bench-y) \
	$(essa-test-y) $(mem-y) $(mem-touch-y) $(mem-test-y) $(mem-bench-y) $(hyp-y) $(hyp-test-y) \
	$(hypd-y) $(hypd-test-y) $(sim-y) \
	$(sort $(lab-host-y) $(lab-agent-y)) $(disk-gen-y) $(count-y) $(trace-tool-y) $(trace-test-y)
# What a host needs of essa-emu is part of hyp/mem for the linker.
mem-objs-y := $(mem-y) $(essa-src-y)
objs = $(patsubst %.c,$(B)/%.o,$(1))

all: $(B)/hyp/hyp $(B)/hyp/hypd/hypd $(B)/hyp/sim/hyp-sim ## build everything

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call msg,CC,$@)
	$(Q)$(CC) $(cflags) -MMD -MP -c -o $@ $<
$(B)/hyp/hyp: $(call objs,$(hyp-y) $(mem-objs-y) $(essa-trace-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(hyp-libs)
$(B)/hyp/hypd/hypd: $(call objs,$(hypd-y) $(hypd-hyp-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(hypd-libs)
# The simulator shares configuration and error lines with hyp, not KVM.
sim-objs := $(call objs,$(sim-y) $(mem-objs-y) $(mem-touch-y) $(essa-trace-y) \
	$(addprefix hyp/, conffile.c config.c config_check.c ctl/path.c share.c util.c))
$(B)/hyp/sim/hyp-sim: $(sim-objs)
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(sim-libs)
# Broken on purpose: a test wants these to fail.
$(B)/hyp/sim/hyp-sim-late: broken := hyp/mem/state.c -DHYP_BREAK_LATE_RELEASE
$(B)/hyp/sim/hyp-sim-tag: broken := hyp/sim/guest.c -DSIM_BREAK_TAG
$(B)/hyp/sim/hyp-sim-%: $(sim-objs)
	$(call msg,LD,$@)
	$(Q)$(CC) $(cflags) -o $@ $(broken) $(filter-out $(B)/$(basename $(firstword $(broken))).o,$^) \
	  $(ldflags) $(sim-libs)
sim-broken := $(B)/hyp/sim/hyp-sim-late $(B)/hyp/sim/hyp-sim-tag
$(B)/essa-emu/tests/%: $(B)/essa-emu/tests/%.o $(call objs,$(essa-emu-y) $(essa-src-y) $(essa-trace-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(essa-libs) -lcmocka
$(B)/essa-emu/bench/bench: $(call objs,$(essa-bench-y) $(essa-src-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags)
$(B)/hyp/mem/bench/bench: $(call objs,$(mem-bench-y) $(mem-objs-y) $(mem-touch-y) $(bench-report-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(mem-libs)
$(spec-table): $(call objs,$(essa-tool-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags)
$(B)/hyp/mem/tests/%: $(B)/hyp/mem/tests/%.o $(call objs,$(mem-objs-y) $(mem-touch-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(mem-libs) -lcmocka
# They run hypd, which is beside.
$(B)/hyp/hypd/tests/%: $(B)/hyp/hypd/tests/%.o $(filter-out %/main.o,$(call objs,$(hypd-y) $(hypd-hyp-y))) \
		| $(B)/hyp/hypd/hypd
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(hypd-libs) -lcmocka
$(B)/hyp/tests/%: $(B)/hyp/tests/%.o $(filter-out %/main.o,$(call objs,$(hyp-y) $(mem-objs-y) $(essa-trace-y)))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(hyp-libs) -lcmocka

# The lab: see tools/lab/run.
lab := $(O)/lab
$(lab)/deb/stamp:
	$(call msg,FETCH,Debian 6.12 cloud kernel (25 MB))
	$(Q)sh tools/lab/fetch-kernel $(@D)
	$(Q)touch $@
$(lab)/vmlinuz: $(lab)/deb/stamp
	$(Q)cp $(@D)/deb/boot/vmlinuz-* $@
$(lab)/kernel: $(lab)/vmlinuz tools/lab/unpack-kernel
	$(Q)tools/lab/unpack-kernel $< $@
$(lab)/host: $(call objs,$(lab-host-y))
	@mkdir -p $(@D)
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags)
$(lab)/agent: $(call objs,$(lab-agent-y))
	@mkdir -p $(@D)
	$(call msg,LD,$@)
	$(Q)$(CC) -static -o $@ $^ $(ldflags)
$(lab)/lab.cpio.gz: $(lab)/agent $(lab)/deb/stamp tools/lab/mkinitrd
	$(call msg,CPIO,$@)
	$(Q)sh tools/lab/mkinitrd $< $(@D)/deb $@
$(lab)/ready: $(lab)/host $(lab)/lab.cpio.gz $(lab)/kernel
	$(Q)touch $@
include kernel-patches/Kbuild essa-emu/models/Kbuild selftests/Kbuild hyp/fuzz/Kbuild

$(O)/tools/disk/mkfiles: $(call objs,$(disk-gen-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags)
disk: $(O)/disk.img ## make the guest's disk image (300 MiB of files with checksums)
$(O)/disk.img: $(O)/tools/disk/mkfiles $(guest-disk-bin) tools/mkdisk
	$(call msg,DISK,$@)
	$(Q)tools/mkdisk $@ $< 1 $(DISK_MIB) 160 $(guest-disk-bin)

# Traces are recorded once and shipped; essa-emu/traces/README.md.
trace-tool := $(O)/tools/trace/essa-trace
$(trace-tool): $(call objs,$(trace-tool-y) $(essa-trace-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(essa-libs)
$(B)/tools/trace/tests/%: $(B)/tools/trace/tests/%.o \
		$(filter-out %/trace.o,$(call objs,$(trace-tool-y))) $(call objs,$(essa-trace-y))
	$(call msg,LD,$@)
	$(Q)$(CC) -o $@ $^ $(ldflags) $(essa-libs) -lcmocka
$(O)/traces/build.img: tools/trace/mkbuild
	@mkdir -p $(@D)
	$(call msg,DISK,$@)
	$(Q)tools/trace/mkbuild $@
# The same with more sources: to compile, and to read.
$(O)/cost/build.img: tools/trace/mkbuild
	@mkdir -p $(@D)
	$(call msg,DISK,$@)
	$(Q)tools/trace/mkbuild $@ 5
$(O)/states/trees.img: tools/trace/mkbuild
	@mkdir -p $(@D)
	$(call msg,DISK,$@)
	$(Q)tools/trace/mkbuild $@ 99
traces: setup ## record the traces of essa-emu/traces again (15 minutes)
	$(Q)$(MAKE) record-traces
record-traces: all $(trace-tool) $(guest-record) $(lab)/ready $(kernel)/bzImage-record \
		$(O)/disk.img $(O)/traces/build.img
	$(Q)O=$(O) tools/trace/record scan $(O)/disk.img essa-emu/traces/scan.trace
	$(Q)O=$(O) tools/trace/record build $(O)/traces/build.img essa-emu/traces/build.trace

lab: $(lab)/ready ## build the machine that tools/lab/run runs programs in
lab-shell: $(lab)/ready ## a shell where KVM is: here, or in the lab
	$(Q)O=$(O) tools/lab/run --tty -- $${SHELL:-/bin/sh}

# $(call tests-in,build directory)
tests-in = $(patsubst %.c,$(1)/%,$(essa-test-y) $(mem-test-y) $(hyp-test-y) $(hypd-test-y) $(trace-test-y))
tests := $(call tests-in,$(B))
asan-dir := $(O)-address+undefined
tsan-dir := $(O)-thread
# these need kernels of their own: check-sim, check-debug, check-kernel, check-ext4, check-debian;
# or much time: check-big
sim-tests := selftests/test_simkernel.sh selftests/test_simmodes.sh selftests/test_ksim.sh
kernel-tests := selftests/test_kexec.sh selftests/test_modes.sh
ext4-tests := selftests/test_ext4.sh
debian-tests := selftests/test_debian.sh
big-tests := selftests/test_big.sh
selftests := $(filter-out $(sim-tests) $(kernel-tests) $(ext4-tests) $(debian-tests) $(big-tests), \
	$(wildcard selftests/test_*.sh)) \
	$(selftest-y:%.c=$(O)/%)
# JOBS=1: one after the other
JOBS ?= auto
run-tests = O=$(O) selftests/run.sh --logs $(O)/logs --jobs $(JOBS)

all-tests: $(tests)
unit: $(tests) ## unit tests (TAP, no root, no KVM)
	$(Q)$(run-tests) $(tests)
format: ## format the C files with clang-format
	$(Q)tools/check-format.sh
style: layers $(spec-table) ## layers, licences, ABI copies, specification, format, manual
	$(Q)tools/check-format.sh --check
	$(Q)tools/check-license.sh
	$(Q)tools/check-abi.sh
	$(Q)tools/check-spec.sh $(spec-table)
	$(Q)tools/check-rules.sh
	$(Q)mandoc -Tlint -Wstyle man/*.1
spec: $(spec-table) ## write the transition table of essa-emu/SPEC.md from the code
	$(Q)tools/check-spec.sh --write $<
setup: ## install the Debian packages that are missing
	$(Q)tools/setup
# Whoever says -j knows better.
par = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
check: setup ## everything: unit tests, sanitizers, style, selftests in the lab
	$(Q)$(MAKE) $(par) all all-tests guest-tests
	$(Q)$(MAKE) check-all
check-all: all style $(tests) $(sim-broken) $(guests) $(count-plugin) $(selftest-y:%.c=$(O)/%) $(lab)/ready \
		$(kernel)/bzImage $(kselftest-initrd) $(O)/disk.img
	$(Q)$(MAKE) $(par) SAN=address,undefined all-tests
	$(Q)$(MAKE) $(par) SAN=thread all-tests
	$(Q)$(fuzz-make) $(par) fuzz-targets
	$(Q)$(MAKE) $(par) O=$(O)/late CFLAGS=-DHYP_BREAK_LATE_RELEASE all
	$(Q)$(run-tests) $(tests) $(call tests-in,$(asan-dir)) $(call tests-in,$(tsan-dir)) \
	  $(selftests)
# KERNEL= another image, FS=xfs, KSELFTESTS=NAME,NAME..., KSELFTEST_MEM=; with neither of
# FS and KSELFTESTS also what ext4 has to skip, on XFS
kselftest: all $(lab)/ready $(kselftest-initrd) $(if $(KERNEL),,$(kernel)/bzImage-wide) ## the kernel's own tests of page hinting, all of them (KERNEL=, FS=)
	$(Q)code=0; export KERNEL=$(or $(KERNEL),$(kernel)/bzImage-wide); \
	KSELFTESTS=$(or $(KSELFTESTS),all) $(if $(FS),FS=$(FS)) O=$(O) selftests/run.sh \
	  --logs $(O)/logs/kselftest selftests/test_kselftest.sh || code=1; \
	$(if $(FS)$(KSELFTESTS),,KSELFTESTS=large FS=xfs O=$(O) selftests/run.sh \
	  --logs $(O)/logs/kselftest-xfs selftests/test_kselftest.sh || code=1;) exit $$code
check-sim: $(guests) $(guest-teardown) $(kernel)/bzImage-sim $(kselftest-initrd) $(O)/disk.img ## the kernel that plays its own hypervisor, in plain QEMU: no lab, no KVM
	$(Q)O=$(O) selftests/run.sh --logs $(O)/logs/sim $(sim-tests)
check-ext4: $(kernel)/bzImage-sim $(guest-initrd) $(kselftest-initrd) ## some of them on ext4 with small blocks, data in the journal and other options
	$(Q)O=$(O) selftests/run.sh --logs $(O)/logs/ext4 $(ext4-tests)
# KERNELS=kcsan: that one only
KERNELS ?= debug kcsan
check-debug: $(guests) $(guest-teardown) $(KERNELS:%=$(kernel)/bzImage-%) $(kselftest-initrd) $(O)/disk.img ## the same on kernels with KASAN, lockdep and DEBUG_VM, or KCSAN, and on XFS (KERNELS=)
	$(Q)code=0; for k in $(KERNELS); do \
	  export SIM_KERNEL=$(kernel)/bzImage-$$k SIM_TIMEOUT=1800 KSELFTEST_MEM=768M; \
	  O=$(O) selftests/run.sh --logs $(O)/logs/$$k $(sim-tests) || code=1; \
	  FS=xfs O=$(O) selftests/run.sh --logs $(O)/logs/$$k-xfs selftests/test_ksim.sh || code=1; \
	done; exit $$code
check-compat: ## the kernel's mm selftests and stress-ng, stock kernel beside ours under --storm (hours; COMPAT=ERE)
	$(Q)tools/setup bash stress-ng xfsprogs libcap-dev libnuma-dev
	$(Q)$(MAKE) compat-build
	$(Q)O=$(O) tools/check-compat
check-kernel: all $(lab)/ready $(guest-teardown) $(kernel)/bzImage-wide $(kernel)/bzImage $(kselftest-initrd) ## what ends a kernel or reads all its memory, under hyp: kexec, crash dump, CPUs; boot parameters
	$(Q)O=$(O) selftests/run.sh --logs $(O)/logs/kernel $(kernel-tests)
# DEBIAN_KERNELS=own or patched: that one only
DEBIAN_KERNELS ?= own patched
debian := $(O)/debian
$(debian)/root.img: tools/mkdebian
	$(call msg,DEBIAN,$@ (3 minutes))
	$(Q)tools/setup debootstrap
	$(Q)tools/mkdebian $(@D)
check-debian: all $(lab)/ready $(debian)/root.img $(if $(filter patched,$(DEBIAN_KERNELS)),$(kernel)/bzImage-debian) ## a Debian made by debootstrap boots to its login prompt, with its own kernel and with ours (DEBIAN_KERNELS=)
	$(Q)DEBIAN_KERNELS='$(DEBIAN_KERNELS)' O=$(O) selftests/run.sh --logs $(O)/logs/debian $(debian-tests)
check-big: all $(lab)/ready ## a guest with 16 processors, or more memory than there is: boots, and what it takes (BIG='CPUS:GIB ...')
	$(Q)$(if $(BIG),BIG='$(BIG)') O=$(O) selftests/run.sh --logs $(O)/logs/big $(big-tests)
	@grep -h '^# .* processors, ' $(O)/logs/big/*.tap
bench-essa: bench-native bench-guest ## what page states cost, here and in a guest: tables and pictures
bench-native: $(B)/essa-emu/bench/bench $(B)/hyp/mem/bench/bench ## what operations, scans, releases and page-ins cost here
	@mkdir -p $(O)/bench
	$(Q)$< --data $(O)/bench/essa.tsv
	$(Q)$(B)/hyp/mem/bench/bench --data $(O)/bench/essa.tsv --append
	$(Q)for format in svg png; do gnuplot -e "data='$(O)/bench/essa.tsv'; \
	  out='$(O)/bench/essa.$$format'; format='$$format'" essa-emu/bench/bench.gnuplot || exit; done
	@echo 'Picture: $(O)/bench/essa.svg (and .png)'
bench-guest: all $(guests) $(lab)/ready $(kernel)/bzImage ## what operations cost in a guest, and how many exits
	$(Q)O=$(O) tools/bench-guest
bench-vmm: all $(guest-first) $(lab)/ready $(kernel)/bzImage $(O)/disk.img ## start of a guest and the VMM's own memory, beside QEMU's microvm and q35
	$(Q)O=$(O) tools/bench-vmm
# COST_BOOTS=, COST_ROUNDS=, COST_FILES=, COST_SIDES=
bench-kernel: $(count-plugin) $(guest-initrd) $(O)/cost/build.img $(kernel)/bzImage-stock $(kernel)/bzImage-cost ## instructions that page hinting costs guests, off and on, beside the unpatched kernel
	$(Q)O=$(O) tools/bench-kernel
chart-states: all $(guest-record) $(O)/states/trees.img $(lab)/ready $(kernel)/bzImage ## share of page states over time: boot, grep of source trees, a build
	$(Q)O=$(O) tools/chart-states
sim: $(B)/hyp/sim/hyp-sim ## replay traces in GUESTS=100 guests, hints on and off
	$(Q)O=$(O) tools/sim
run: setup ## the demonstration: a guest robbed of its pages, and the figures
	$(Q)$(MAKE) run-demo
run-demo: all $(guests) $(lab)/ready $(kernel)/bzImage $(O)/disk.img tools/demo
	$(Q)O=$(O) tools/demo
layers: ## fail on a forbidden #include
	$(Q)sh tools/check-layers.sh
compdb: ## write compile_commands.json
	$(Q){ printf '['; sep=; for s in $(srcs); do \
	  printf '%s\n{"directory":"%s","file":"%s","arguments":["$(CC)"' "$$sep" "$(CURDIR)" $$s; \
	  for f in $(cflags); do printf ',"%s"' "$$f"; done; \
	  printf ',"-c","%s"]}' $$s; sep=,; done; printf '\n]\n'; } > compile_commands.json
analyze: ## gcc -fanalyzer, cppcheck, clang-tidy
	$(Q)$(MAKE) O=$(O)-analyze CFLAGS=-fanalyzer all
	$(Q)$(MAKE) compdb
	$(call msg,CPPCHK,$(O))
	$(Q)cppcheck --quiet --error-exitcode=1 --inline-suppr \
	  --enable=warning,portability --project=compile_commands.json
	$(call msg,TIDY,$(O))
	$(Q)clang-tidy --quiet -p . $(srcs) 2>/dev/null
asan tsan: ## unit tests under ASan+UBSan / TSan
asan: ; $(Q)$(MAKE) SAN=address,undefined unit
tsan: ; $(Q)$(MAKE) SAN=thread unit
help: ## this text
	@sed -nE 's/^([a-z -]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | sort | expand -t 22
clean: ## remove the build directory
	$(Q)rm -rf $(O) $(O)-* compile_commands.json
.PHONY: all all-tests analyze asan bench-essa bench-guest bench-kernel bench-native bench-vmm \
	chart-states check check-all check-big check-compat check-debian check-debug check-ext4 check-kernel \
	check-sim clean compdb disk format help kselftest lab lab-shell layers record-traces run \
	run-demo setup sim spec style traces tsan unit
-include $(patsubst %.c,$(B)/%.d,$(srcs))
