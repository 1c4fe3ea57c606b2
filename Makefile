# SPDX-License-Identifier: Apache-2.0
# FAISSx for C.  `make help` lists the targets.
#
#   V=1                      show whole command lines
#   SANITIZER=address        build with ASan and UBSan into build-address; thread: with TSan
#   FAISS_C=/path/lib.so     the real libfaiss_c for tests, demo and benchmarks;
#                            default: an installed one, or else one built from
#                            the distribution's FAISS source package

VERSION := 0.1.0
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=
FUZZ_SECONDS ?= 8
CLANG ?= clang
FAISS_C ?=
export FAISS_C

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g

SANITIZER ?=
ifeq ($(SANITIZER),)
BUILD := build
else ifeq ($(SANITIZER),address)
BUILD := build-address
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# ASan looks up the functions that throw when it starts; FAISS is loaded later.
SANITIZE_LIBS := -Wl,--push-state,--no-as-needed -lstdc++ -Wl,--pop-state
else ifeq ($(SANITIZER),thread)
BUILD := build-thread
SANITIZE := -fsanitize=thread -fno-omit-frame-pointer
else
$(error SANITIZER is '$(SANITIZER)'; it can be address or thread)
endif

GEN := $(BUILD)/gen
WARN := -Wall -Wextra
# For "..." only: <link.h> is the C library's.  Headers are named by their path from here.
INCLUDES := -iquote . -iquote $(GEN)
FX_CPPFLAGS := -D_GNU_SOURCE -DFAISSX_VERSION='"$(VERSION)"' -DFAISSX_LIBDIR='"$(LIBDIR)"' $(INCLUDES)
FX_CFLAGS = $(CFLAGS) -std=gnu11 $(WARN) -fPIC -fvisibility=hidden $(SANITIZE)
FX_LDFLAGS = $(LDFLAGS) $(SANITIZE) $(SANITIZE_LIBS)
COMPILE = $(CC) $(CPPFLAGS) $(FX_CPPFLAGS) $(FX_CFLAGS) -MMD -MP
NO_UNDEFINED := $(if $(SANITIZER),,-Wl,-z,defs)

MSGPACK_LIBS ?= -lmsgpackc
SHIM_LIBS = $(MSGPACK_LIBS) -ldl -lpthread
# proto/sodium.c looks its functions up when they are needed.  The shim is not linked with the library
# (docs/decisions.md); the server and the command line are, so that they always find it.
SODIUM_LIBS ?= -Wl,--push-state,--no-as-needed $(shell pkg-config --libs libsodium 2>/dev/null || echo -lsodium) -Wl,--pop-state
SERVER_LIBS = $(SODIUM_LIBS) $(MSGPACK_LIBS) -ljansson -lseccomp -lsqlite3 -lxxhash -ldl -lpthread -lm
TEST_LIBS = -lcmocka -lzmq $(MSGPACK_LIBS) -ljansson -lseccomp -lsqlite3 -lxxhash -ldl -lpthread -lm

ifneq ($(V),1)
Q := @
say = @printf '  %-7s %s\n' $(1) '$(2)'
endif

# --- source files -----------------------------------------------------------

APIGEN_SRC := $(wildcard proto/gen/*.c)
COMMON_SRC := $(wildcard proto/*.c proto/client/*.c)
SHIM_SRC := $(wildcard shim/*.c shim/*/*.c)
SERVER_SRC := $(wildcard server/*.c server/*/*.c server/*/*/*.c)
CLI_SRC := $(wildcard cli/*.c)
AUDIT_SRC := $(wildcard audit/*.c)
UNIT_SRC := $(wildcard tests/unit/*_test.c)
DRIVER_SRC := $(wildcard $(addprefix tests/record/,driver.c args.c call.c scene.c text.c))
RECORD_SRC := $(filter-out $(filter-out %/text.c,$(DRIVER_SRC)),$(wildcard tests/record/*.c))
RAW_SRC := $(addprefix tests/e2e/,raw.c peers.c proxy.c link.c)
ATTACK_SRC := $(wildcard tests/attack/*.c)
TORTURE_CLIENT_SRC := $(addprefix tests/torture/,main.c handle.c change.c read.c resume.c journal.c)
TORTURE_SRC := $(filter-out $(filter-out %/journal.c,$(TORTURE_CLIENT_SRC)) %/aside.c %/crashing.c %/hold.c %/clock.c, \
	$(wildcard tests/torture/*.c))
E2E_SRC := $(filter-out $(RAW_SRC),$(wildcard tests/e2e/*.c))
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
BENCH_SRC := $(filter-out bench/locks.c,$(wildcard bench/*.c))

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
COMMON_OBJ := $(call objects,$(COMMON_SRC)) $(GEN)/api_gen.o
SHIM_OBJ := $(call objects,$(SHIM_SRC)) $(GEN)/entry.o
SERVER_OBJ := $(call objects,$(SERVER_SRC))
CLI_OBJ := $(call objects,$(CLI_SRC))
RECORD_OBJ := $(call objects,$(RECORD_SRC))

GENERATED := $(addprefix $(GEN)/,api_gen.h api_gen.c stubs.h entry.c names.h remote.h handlers.h exports.map \
	faiss_c_compat.h matrix.md signatures.py)

# The names of libfaiss_c that a program may ask for, by instruction set.
VARIANTS := $(patsubst %,libfaiss_c_%.so,avx2 avx512 avx512_spr sve)

# The Python module, as it is installed.
PYTHON_SRC := $(wildcard $(addprefix python/faissx_c/,*.py *.txt */*.py */*/*.py))
PYTHON := $(patsubst python/%,$(BUILD)/faissx/python/%,$(PYTHON_SRC)) \
	$(BUILD)/faissx/python/faissx_c/_signatures.py

PRODUCTS := $(PYTHON) $(addprefix $(BUILD)/,libfaissx_c.so faissx/libfaiss_c.so $(addprefix faissx/,$(VARIANTS)) \
	faissx/libfaissx_audit.so faissx-server bin/faissx)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
RECORD := $(BUILD)/tests/record/libfaiss_c.so $(BUILD)/tests/record/driver
E2E := $(patsubst %.c,$(BUILD)/%,$(E2E_SRC))
LIFE := $(if $(wildcard tests/life/*.c),$(BUILD)/tests/life/life)
CURVE := $(BUILD)/tests/curve/curve
TORTURE := $(addprefix $(BUILD)/tests/torture/,torture client aside hold crashing.so clock.so)
CRASH := $(addprefix $(BUILD)/tests/crash/,crash learn)
RAW := $(patsubst %.c,$(BUILD)/%,$(RAW_SRC)) $(BUILD)/tests/attack/attack
FUZZ := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(FUZZ_SRC))
BENCH := $(patsubst %.c,$(BUILD)/%,$(BENCH_SRC)) $(BUILD)/bench/locks.so
# Shell tests, as links under $(BUILD)/tests: tests/run knows a test's build by its path.
SCRIPTS := $(patsubst %,$(BUILD)/%,$(wildcard tests/*/*.t))

.PHONY: all generated test-programs engine header check-header wheel
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PRODUCTS) ## build the libraries, the server and the command line (needs no FAISS)

# --- generated from proto/faiss.api -------------------------------------------

APIGEN := build/apigen

$(APIGEN): $(APIGEN_SRC) proto/gen/apigen.h proto/table.h proto/limits.h
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -std=gnu11 $(WARN) -D_GNU_SOURCE -iquote . -o $@ $(APIGEN_SRC)

define generate
$(GEN)/$(1): $$(APIGEN) proto/faiss.api proto/faiss_types.h
	$$(call say,GEN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(APIGEN) proto/faiss.api proto/faiss_types.h $(2) >$$@.tmp && mv $$@.tmp $$@
endef
$(eval $(call generate,api_gen.h,api.h))
$(eval $(call generate,api_gen.c,api.c))
$(eval $(call generate,stubs.h,stubs))
$(eval $(call generate,entry.c,entry))
$(eval $(call generate,names.h,names))
$(eval $(call generate,remote.h,remote))
$(eval $(call generate,handlers.h,handlers))
$(eval $(call generate,exports.map,map))
$(eval $(call generate,faiss_c_compat.h,header))
$(eval $(call generate,matrix.md,matrix))
$(eval $(call generate,signatures.py,python))

$(GEN)/support-matrix.md: packaging/support-matrix.in $(GEN)/matrix.md
	$(Q)cat $^ >$@

generated: $(GENERATED)

header: $(GEN)/faiss_c_compat.h $(GEN)/support-matrix.md ## update the committed files that are generated from proto/faiss.api
	cp $(GEN)/faiss_c_compat.h faiss_c_compat.h
	cp $(GEN)/support-matrix.md docs/support-matrix.md

check-header: $(GEN)/faiss_c_compat.h $(GEN)/support-matrix.md
	@diff -u faiss_c_compat.h $(GEN)/faiss_c_compat.h && \
	diff -u docs/support-matrix.md $(GEN)/support-matrix.md || \
	{ echo 'Generated files are out of date: run make header.' >&2; exit 1; }

# --- objects -------------------------------------------------------------------

$(BUILD)/%.o: %.c | $(GENERATED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(GEN)/%.o: $(GEN)/%.c | $(GENERATED)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -c -o $@ $<

# Changes if LIBDIR does, which `faissx run` has to know.
$(BUILD)/libdir: FORCE
	@mkdir -p $(@D)
	@[ "$(LIBDIR)" = "$$(cat $@ 2>/dev/null)" ] || echo "$(LIBDIR)" >$@

$(BUILD)/cli/run.o: $(BUILD)/libdir

# The recording library is loaded in place of a real one: its functions have to be exported.
$(RECORD_OBJ): FX_CFLAGS += -fvisibility=default

# Archives, so that a test links only what it needs.
$(BUILD)/common.a: $(COMMON_OBJ)
$(BUILD)/shim.a: $(SHIM_OBJ)
$(BUILD)/server.a: $(filter-out %/server/main.o,$(SERVER_OBJ))
%.a:
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# --- products ------------------------------------------------------------------

# nodelete: the shim has thread destructors, which run later, and a library that loads an OpenMP
# runtime cannot be unloaded anyway.
SHIM_LINK = $(CC) -shared $(FX_CFLAGS) $(FX_LDFLAGS) -Wl,--version-script=$(GEN)/exports.map \
	-Wl,-z,relro,-z,now,-z,nodelete $(NO_UNDEFINED)

$(BUILD)/libfaissx_c.so.0: $(SHIM_OBJ) $(BUILD)/common.a $(GEN)/exports.map
	$(call say,LINK,$@)
	$(Q)$(SHIM_LINK) -Wl,-soname,$(@F) -o $@ $(filter %.o %.a,$^) $(SHIM_LIBS)

$(BUILD)/libfaissx_c.so: $(BUILD)/libfaissx_c.so.0
	$(Q)ln -sf $(<F) $@

# The same library, under the name that programs linked with FAISS ask for.
$(BUILD)/faissx/libfaiss_c.so: $(SHIM_OBJ) $(BUILD)/common.a $(GEN)/exports.map
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(SHIM_LINK) -Wl,-soname,$(@F) -o $@ $(filter %.o %.a,$^) $(SHIM_LIBS)

# Links, so that all names are one library with one state.
$(addprefix $(BUILD)/faissx/,$(VARIANTS)): $(BUILD)/faissx/libfaiss_c.so
	$(Q)ln -sf $(<F) $@

# The loader maps it separately from the program: no sanitizer, and no C library (audit.c).
$(BUILD)/faissx/libfaissx_audit.so: $(AUDIT_SRC) $(wildcard audit/*.h)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) -fPIC -fvisibility=hidden \
		-ffreestanding -fno-tree-loop-distribute-patterns -fno-stack-protector $(LDFLAGS) -shared \
		-nostartfiles -Wl,--as-needed -Wl,-z,relro,-z,now -Wl,-soname,$(@F) -o $@ $(AUDIT_SRC)

$(BUILD)/faissx/python/%: python/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(BUILD)/faissx/python/faissx_c/_signatures.py: $(GEN)/signatures.py
	@mkdir -p $(@D)
	$(Q)cp $< $@

# For the wheel: it looks for libmsgpackc beside it.
$(BUILD)/wheel/libfaissx_c.so.0: $(SHIM_OBJ) $(BUILD)/common.a $(GEN)/exports.map
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(SHIM_LINK) -Wl,-rpath,'$$ORIGIN' -Wl,-soname,$(@F) -o $@ $(filter %.o %.a,$^) $(SHIM_LIBS)

wheel: $(BUILD)/wheel/libfaissx_c.so.0 $(PYTHON) ## make a wheel for Python in build/wheel (needs no FAISS)
	@python3 packaging/wheel.py $(VERSION) $(BUILD)/faissx/python/faissx_c $< $(BUILD)/wheel

# FAISS reads through the server's own fread(): server/engine/call/source.h.  Its parallel loops run
# through the server's own GOMP_parallel(): server/engine/guard/region.h.
$(BUILD)/faissx-server: $(SERVER_OBJ) $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -Wl,-z,relro,-z,now -Wl,--export-dynamic-symbol=fread \
		-Wl,--export-dynamic-symbol=GOMP_parallel \
		-Wl,--export-dynamic-symbol=faissx_opens_faiss -o $@ $^ $(SERVER_LIBS)

$(BUILD)/bin/faissx: $(CLI_OBJ) $(BUILD)/common.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -Wl,-z,relro,-z,now -o $@ $^ $(SODIUM_LIBS) $(MSGPACK_LIBS) -ljansson -ldl -lpthread

# --- programs of the tests -------------------------------------------------------

$(UNIT): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/server.a $(BUILD)/shim.a $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LIBS)

$(BUILD)/tests/record/libfaiss_c.so: $(RECORD_OBJ) $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(FX_CFLAGS) $(FX_LDFLAGS) -Wl,-soname,$(@F) -o $@ $^ -lpthread -lm $(MSGPACK_LIBS)

# The driver opens the library that its arguments name.
$(BUILD)/tests/record/driver: $(call objects,$(DRIVER_SRC)) $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -o $@ $^ $(MSGPACK_LIBS) -ldl -lpthread -lm

# The same for every type of index.
$(LIFE): $(call objects,$(wildcard tests/life/*.c)) $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -o $@ $^ $(MSGPACK_LIBS) -ldl -lpthread -lm

$(BUILD)/tests/crash/learn: $(call objects,tests/crash/learn.c server/engine/guard/refusal.c)
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -o $@ $^

# The same for every kind of index.
$(BUILD)/tests/crash/crash: $(call objects,$(filter-out %/learn.c,$(wildcard tests/crash/*.c)) \
	$(addprefix server/engine/guard/,shape.c catch.c region.c)) $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -Wl,--export-dynamic-symbol=GOMP_parallel -o $@ $^ $(MSGPACK_LIBS) -ldl -lpthread -lm

# Changes if another FAISS is to be used, so that what is linked with it is linked again.
$(BUILD)/faiss-library: FORCE
	@mkdir -p $(@D)
	@lib=$$(packaging/find-faiss.sh) && { [ "$$lib" = "$$(cat $@ 2>/dev/null)" ] || echo "$$lib" >$@; }

.PHONY: FORCE
FORCE:

# Unmodified users of FAISS: linked with the real library, never sanitized.
$(E2E) $(BUILD)/tests/torture/aside $(filter %/client %/crowd %/durable %/readers,$(BENCH)): $(BUILD)/%: %.c faiss_c_compat.h $(BUILD)/faiss-library
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)lib=$$(packaging/find-faiss.sh) && $(CC) $(CPPFLAGS) -D_GNU_SOURCE -I. $(CFLAGS) -std=gnu11 $(WARN) \
		$(LDFLAGS) -MMD -MP -o $@ $< "$$lib" -Wl,-rpath,"$$(dirname "$$lib")" -lpthread -ldl -lm

# A user of FAISS that notes what it does, and the program that kills it.
$(BUILD)/tests/torture/client: $(TORTURE_CLIENT_SRC) $(wildcard tests/torture/*.h) tests/e2e/client.h \
		faiss_c_compat.h $(BUILD)/faiss-library
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)lib=$$(packaging/find-faiss.sh) && $(CC) $(CPPFLAGS) -D_GNU_SOURCE -I. $(CFLAGS) -std=gnu11 $(WARN) \
		$(LDFLAGS) -o $@ $(TORTURE_CLIENT_SRC) "$$lib" -Wl,-rpath,"$$(dirname "$$lib")" -lpthread -ldl -lm

$(BUILD)/tests/torture/hold: tests/torture/hold.c
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) $(LDFLAGS) -o $@ $<

# A real library but for one function; the program that uses it finds the real one through it.
$(BUILD)/tests/torture/crashing.so: tests/torture/crashing.c faiss_c_compat.h $(BUILD)/faiss-library
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)lib=$$(packaging/find-faiss.sh) && $(CC) $(CPPFLAGS) -D_GNU_SOURCE -I. $(CFLAGS) -std=gnu11 $(WARN) \
		$(LDFLAGS) -shared -fPIC -o $@ $< "$$lib" -Wl,-rpath,"$$(dirname "$$lib")" -ldl

$(BUILD)/tests/torture/clock.so: tests/torture/clock.c
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) $(LDFLAGS) -shared -fPIC -o $@ $< -ldl

$(BUILD)/tests/torture/torture: $(TORTURE_SRC) $(wildcard tests/torture/*.h)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) $(LDFLAGS) -o $@ $(TORTURE_SRC)

# Clients that speak the wire protocol themselves.
$(filter $(BUILD)/tests/e2e/%,$(RAW)): $(BUILD)/%: %.c
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) $(LDFLAGS) -MMD -MP -o $@ $< \
		-lzmq $(MSGPACK_LIBS) -ljansson

$(CURVE): $(BUILD)/tests/curve/curve.o $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -o $@ $^ $(MSGPACK_LIBS) -ldl -lpthread

$(BUILD)/tests/attack/attack: $(ATTACK_SRC) $(wildcard tests/attack/*.h)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) $(LDFLAGS) -o $@ $(ATTACK_SRC) $(MSGPACK_LIBS)

$(BUILD)/bench/locks.so: bench/locks.c
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) -std=gnu11 $(WARN) -fvisibility=hidden $(LDFLAGS) -shared -fPIC -o $@ $< -ldl

$(filter-out %/client %/crowd %/durable %/readers %.so,$(BENCH)): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(FX_CFLAGS) $(FX_LDFLAGS) -o $@ $^ -lzmq $(MSGPACK_LIBS) -ldl -lpthread -lm

build/fuzz/engine_conn_fuzz build/fuzz/curve_fuzz: $(wildcard server/engine/run/conn.c server/engine/run/conn_read.c server/engine/run/conn_send.c server/engine/run/peers.c \
	server/engine/run/kept.c server/engine/run/secure.c server/*.h server/engine/*.h server/engine/*/*.h)
build/fuzz/engine_conn_fuzz: server/log.c
build/fuzz/curve_fuzz: server/front/secure.c
build/fuzz/dialect_fuzz: server/engine/dialect/read.c server/engine/dialect/read.h
$(FUZZ): build/fuzz/%: tests/fuzz/%.c $(COMMON_SRC) $(wildcard proto/*.h proto/*/*.h) | $(GENERATED)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FX_CPPFLAGS) -g -O1 -std=gnu11 $(WARN) -fsanitize=fuzzer,address -o $@ \
		$(filter %.c,$^) $(GEN)/api_gen.c $(MSGPACK_LIBS) -lpthread

$(SCRIPTS): $(BUILD)/%: %
	@mkdir -p $(@D)
	@ln -sf $(CURDIR)/$< $@

test-programs: all $(UNIT) $(RECORD) $(E2E) $(RAW) $(LIFE) $(CRASH) $(CURVE) $(TORTURE) $(SCRIPTS)

engine: ## print the path of a real libfaiss_c: FAISS_C, an installed one, or one built from source
	@packaging/find-faiss.sh

# --- checks ----------------------------------------------------------------------

.PHONY: deps check recheck check-unit check-e2e check-build fuzz torture refusals bench bench-full bench-peers python-tests demo lint format
JOBS ?= $(shell nproc)
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
PROVE ?= prove --timer
RUN_TESTS = $(PROVE) --exec tests/run
# Many tests wait for something most of the time.
TEST_JOBS ?= $(shell expr $(JOBS) + 1)
# They begin first, so that no one of them is left at the end.
LONG = $(patsubst %,build/tests/e2e/%.t,network stalled ordinary errors attack-front attack-engine attack-limits life) \
	$(patsubst %,build-address/tests/e2e/%.t,errors reconnect crash)

# Tests that run again in a sanitizer build: those of our own code.  Not the attacks, which measure
# memory, of which a sanitizer uses more; not the Python module, which is no C code; nor what is
# about FAISS's code, which has no checks of a sanitizer, and about the kernel's network.
in_build = $(patsubst build/%,$(1)/%,$(UNIT) $(filter-out build/tests/e2e/attack-% \
	$(patsubst %,build/tests/e2e/%.t,python ordinary network stalled),$(filter build/tests/e2e/%,$(SCRIPTS))))

deps: ## install the packages that building needs (Debian)
	@packaging/deps.sh build

check: ## every test, also under ASan and UBSan, and a short fuzz run
	@packaging/deps.sh build check
	@$(MAKE) --no-print-directory engine
	$(SUBMAKE) check-header test-programs $(FUZZ)
	$(SUBMAKE) SANITIZER=address test-programs
	@rm -f build/failures build/prove
	FAILURES=build/failures FUZZ_SECONDS=$(FUZZ_SECONDS) $(RUN_TESTS) --jobs $(TEST_JOBS) \
		--state=save --statefile=build/prove $(LONG) \
		$(filter-out $(LONG),$(UNIT) $(SCRIPTS) $(call in_build,build-address) $(FUZZ)) || \
		{ cat build/failures; exit 1; }

# For a machine that was too busy for a test.  A test that fails only beside others has a bug.
recheck: ## once more what failed in the last `make check`, one after another
	@[ -s build/prove ] || { echo "make recheck: run make check first" >&2; exit 1; }
	@rm -f build/failures
	FAILURES=build/failures $(RUN_TESTS) --state=failed,save --statefile=build/prove || \
		{ cat build/failures; exit 1; }

check-unit: $(UNIT) ## the unit tests (needs no FAISS)
	$(RUN_TESTS) $(UNIT)

check-e2e: all $(E2E) $(RAW) $(LIFE) $(CRASH) $(CURVE) $(TORTURE) $(filter $(BUILD)/tests/e2e/%,$(SCRIPTS)) ## the tests on a real server and a real FAISS
	$(RUN_TESTS) $(filter $(BUILD)/tests/e2e/%,$(SCRIPTS))

# The requests for the server are sent to each of two endpoints.
MUTATIONS ?=
fuzz: $(FUZZ) ## fuzz each target for FUZZ_SECONDS, and send 200,000 mutated requests to a server
	$(SUBMAKE) SANITIZER=address test-programs
	FUZZ_SECONDS=$(FUZZ_SECONDS) MUTATIONS=$(or $(MUTATIONS),100000) TEST_SECONDS=7200 $(RUN_TESTS) $(FUZZ) \
		build-address/tests/e2e/mutations.t

# Then each disk operation of the store fails in turn, and each byte of its files.
TORTURE_SECONDS ?= 600
torture: all $(TORTURE) $(E2E) $(RAW) $(UNIT) $(BUILD)/tests/e2e/torture.t ## kill clients and servers for TORTURE_SECONDS (600), then let the disk fail
	TORTURE_SECONDS=$(TORTURE_SECONDS) TEST_SECONDS=$$(($(TORTURE_SECONDS) * 2 + 600)) $(PROVE) --verbose \
		--exec tests/run $(BUILD)/tests/e2e/torture.t
	FX_TORTURE=1 TEST_SECONDS=7200 $(PROVE) --verbose --exec tests/run \
		$(BUILD)/tests/store_faults_test $(BUILD)/tests/store_damage_test

# LIBRARIES: RELEASE=PATH of libfaiss_c.so, for each release that the table is to have.
refusals: $(CRASH) ## generate the table of calls that crash FAISS, from LIBRARIES='1.7.3=/path/libfaiss_c.so ...'
	BUILD=$(BUILD) tests/crash/run.sh $(LIBRARIES)

# A folder with FAISS's own tests (test_*.py), and its tutorials beside it.  FAISS's module comes from
# PyPI.
FAISS_PYTHON_TESTS ?=
python-tests: all $(BUILD)/tests/e2e/raw ## run FAISS's own Python tests from FAISS_PYTHON_TESTS three ways, for the table of docs/python.md
	@BUILD=$(BUILD) tests/python/run.sh $(FAISS_PYTHON_TESTS)

demo: ## run FAISS's own example in process and on a server, and compare
	@packaging/demo.sh

bench: all $(BENCH) ## run the benchmarks, in a few minutes
	@packaging/deps.sh bench && BUILD=$(BUILD) bench/run.sh

bench-full: all $(BENCH) ## run the benchmarks in full
	@packaging/deps.sh bench && BUILD=$(BUILD) bench/run.sh --full

# PEERS='pgvector chroma', CLIENTS, DIMS, RECALLS, VECTORS, ROUNDS and SECONDS shorten it: bench/peers/run.sh.
bench-peers: all ## measure other vector stores beside this server; they are installed from PyPI in build/peers
	@BUILD=$(BUILD) bench/peers/run.sh

# --- lint ------------------------------------------------------------------------

# conflict.c is compiled by its test, with headers of FAISS.
SOURCES = $(filter-out tests/abi/conflict.c,$(COMMON_SRC) $(APIGEN_SRC) $(SHIM_SRC) $(SERVER_SRC) $(wildcard audit/*.c \
	cli/*.c bench/*.c tests/*/*.c))
HEADERS = $(wildcard $(addsuffix /*.h,proto proto/* shim shim/* audit server server/* server/*/* cli bench tests/*))
FORMATTED = $(filter-out proto/faiss_types.h server/engine/guard/refusals.h,$(SOURCES) $(HEADERS))

# False reports of cppcheck 2.10: arrays filled by index, anonymous mmap, o || (o = ...), the macro
# ElfW, formats that are arguments, readdir() (readdir_r() is deprecated; each directory is open in one
# thread only).
CPPCHECK_WRONG := uninitvar invalidFunctionArg nullPointerRedundantCheck unknownMacro \
	wrongPrintfScanfArgNum readdirCalled

lint: $(GENERATED) ## check formatting, run cppcheck, and compile with gcc and clang and -Werror
	@packaging/deps.sh build check lint
	$(call say,FORMAT,$(words $(FORMATTED)) files)
	$(Q)clang-format --dry-run -Werror $(FORMATTED)
	$(call say,LINT,cppcheck)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --library=posix -D_GNU_SOURCE $(subst -iquote ,-I,$(INCLUDES)) \
		--include=/usr/include/uthash.h --include=/usr/include/utlist.h \
		$(addprefix --suppress=,missingIncludeSystem $(CPPCHECK_WRONG)) -j $(JOBS) $(SOURCES)
	$(call say,LINT,gcc and clang -Werror)
	$(Q)for cc in gcc $(CLANG); do printf '%s\n' $(SOURCES) $(GEN)/entry.c $(GEN)/api_gen.c | \
		xargs -P $(JOBS) -n 8 $$cc $(FX_CPPFLAGS) -std=gnu11 -O1 $(WARN) -Werror -fsyntax-only || exit 1; done
	$(call say,LINT,scripts)
	$(Q)for f in packaging/*.sh tests/run $(wildcard tests/*/*.sh tests/*/*.t bench/*.sh bench/*/*.sh) .ci/run; do \
		bash -n $$f || exit 1; done

format: ## reformat the sources
	clang-format -i $(FORMATTED)

# --- install ---------------------------------------------------------------------

.PHONY: install uninstall clean help
install: all ## install into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/faissx $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	install -m 755 $(BUILD)/faissx-server $(BUILD)/bin/faissx $(DESTDIR)$(BINDIR)
	install -m 755 $(BUILD)/libfaissx_c.so.0 $(DESTDIR)$(LIBDIR)
	ln -sf libfaissx_c.so.0 $(DESTDIR)$(LIBDIR)/libfaissx_c.so
	install -m 755 $(BUILD)/faissx/libfaiss_c.so $(BUILD)/faissx/libfaissx_audit.so $(DESTDIR)$(LIBDIR)/faissx
	for name in $(VARIANTS); do ln -sf libfaiss_c.so $(DESTDIR)$(LIBDIR)/faissx/$$name; done
	for file in $(PYTHON:$(BUILD)/faissx/%=%); do \
		install -D -m 644 $(BUILD)/faissx/$$file $(DESTDIR)$(LIBDIR)/faissx/$$file || exit 1; done
	install -m 644 faiss_c_compat.h shim/faissx.h $(DESTDIR)$(INCLUDEDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' \
		packaging/faissx_c.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/faissx_c.pc

uninstall: ## remove what install has installed
	rm -f $(DESTDIR)$(BINDIR)/faissx-server $(DESTDIR)$(BINDIR)/faissx \
		$(DESTDIR)$(LIBDIR)/libfaissx_c.so $(DESTDIR)$(LIBDIR)/libfaissx_c.so.0 \
		$(addprefix $(DESTDIR)$(LIBDIR)/faissx/,libfaiss_c.so libfaissx_audit.so $(VARIANTS)) \
		$(DESTDIR)$(INCLUDEDIR)/faiss_c_compat.h \
		$(DESTDIR)$(INCLUDEDIR)/faissx.h \
		$(DESTDIR)$(LIBDIR)/pkgconfig/faissx_c.pc
	rm -rf $(DESTDIR)$(LIBDIR)/faissx/python
	-rmdir $(DESTDIR)$(LIBDIR)/faissx

clean: ## remove everything that was built, except the engine
	rm -rf build build-address build-thread

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
