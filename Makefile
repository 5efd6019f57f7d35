# A thin front of CMake: each command does one thing and says which.
#
## make demo      install what is missing, build, and run the demonstration
## make test      install what is missing, build, and run every test
## make check     check layers, sizes, headers, names, links, tests, layout, docs
## make lint      run clang-tidy and cppcheck on src/
## make coverage  run the tests and say how much of src/ they run
## make valgrind  run the quick tests under valgrind
## make abi       compare the binary interface with the last release's, or BASE's
## make docs      build the reference of the interface: build/docs/html
## make fuzz      run each fuzz target for FUZZ_SECONDS (60)
## make soak      real servers under each fault for SOAK_SECONDS (240): an hour
## make bench     measure libmtc beside its rivals; draw docs/performance
## make install   build and install below PREFIX (/usr/local); DESTDIR
## make deps      install every package that any of these needs, but bench
## make clean     remove build/

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 240
SOAK_PRESET ?= dev
SOAK_LATE_MS ?= 50
DEPS = @scripts/deps.sh
BUILD = @cmake --preset $(1) $(2) && \
	cmake --build --preset $(1) $(3)

help:
	@sed -n 's/^## //p' Makefile

demo:
	$(DEPS) build
	$(call BUILD,release,,--target mtc_tool)
	@build/release/mtc demo

test:
	$(DEPS) build test
	$(call BUILD,dev)
	@ctest --preset dev -j 2

check:
	$(DEPS) check
	@scripts/check.sh

lint:
	$(DEPS) build test lint
	@cmake --preset dev
	@scripts/lint.sh build/dev

coverage:
	$(DEPS) build test coverage
	$(call BUILD,coverage)
	@scripts/coverage.sh build/coverage

valgrind:
	$(DEPS) build test valgrind
	$(call BUILD,dev)
	@scripts/valgrind.py build/dev

abi:
	$(DEPS) build abi
	@scripts/abi.sh build/abi $(BASE)

docs:
	$(DEPS) docs
	@scripts/docs.sh

fuzz:
	$(DEPS) build test fuzz
	$(call BUILD,fuzz,,--target fuzzers)
	@scripts/fuzz.sh build/fuzz $(FUZZ_SECONDS)

soak:
	$(DEPS) build test
	$(call BUILD,$(SOAK_PRESET),,--target soak)
	@build/$(SOAK_PRESET)/tests/soak --seconds $(SOAK_SECONDS) \
		--late $(SOAK_LATE_MS) --worst 8192 $(SOAK)

bench:
	$(DEPS) build bench
	$(call BUILD,release,,--target mtc_tool mtc_rivals mtc_hiredis mtc_wake \
		mtc_flight mtc_leases)
	@bench/measure.py --build build/release
	@bench/measure_redis.py --build build/release
	@bench/measure_callers.py --build build/release
	@bench/draw.py

install:
	$(DEPS) build
	$(call BUILD,release,-DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@DESTDIR=$(DESTDIR) cmake --install build/release
	@test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || ldconfig

deps:
	$(DEPS) build test fuzz check docs lint coverage valgrind abi

clean:
	@rm -rf build

.PHONY: help demo test check lint coverage valgrind abi docs fuzz soak bench install deps clean
