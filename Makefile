# One configuration for everything: what is tested is what is measured and shown.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

SWIFT ?= swift
PREFIX ?= /usr/local
# The seeds that `make simulate` plays.
ROOST_SEEDS ?= 0..<100000
# The rows that `make bench` measures: all, or some of tasks, durable, restart, embedded, map, idle, cold, r (all of R's), r-small, r-tiny, ….
ROW ?= all
# What `make demo` shows: r, or map.
PART ?= r
# What `make fresh` runs in the new root, and where it keeps it (nowhere).
STEPS ?= demo test
FRESH ?=

.PHONY: help setup build test fresh check lint format demo bench simulate chaos soak install install-r clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages only, nothing when all is there.
	@scripts/setup.sh

build: setup ## Build everything, optimised, tests included.
	@scripts/build.sh

test: build check ## Build, run all tests, check the format. What CI runs.
	@scripts/test_failures.sh
	@scripts/test.sh
	@scripts/test_r.sh

fresh: ## `make demo` and `make test` from a clone in a new Debian 12 root (debootstrap, as root). FRESH=DIR keeps it.
	@FRESH='$(FRESH)' scripts/fresh.sh $(STEPS)

check: ## Look for what the compiler does not forbid: formatting, leftovers.
	@scripts/check.sh

format: ## Format the sources in place.
	$(SWIFT) format --in-place --recursive --parallel Sources Tests examples Package.swift

demo: build ## R at work for about a minute: embedded, then on nodes, one of which is killed. PART=map shows files.
	@scripts/demo.sh $(PART)

bench: build ## Measure against the bars and the peers; writes Benchmarks/RESULTS.md. ROW=r measures R's.
	@scripts/bench.sh $(ROW)

simulate: build ## Play 100,000 simulated pools with faults (most of an hour on two cores). ROOST_SEEDS='0..<5000' chooses the seeds.
	@ROOST_SEEDS='$(ROOST_SEEDS)' ROOST_TEST_SECONDS=100000 scripts/test.sh --filter SimulationTests

chaos: build ## Kill, stop and cut off real processes for SECONDS (180), from SEED (any), then check what clients were told.
	@ROOST_CHAOS_SECONDS=$(or $(SECONDS),180) ROOST_CHAOS_SEED=$(SEED) ROOST_TEST_SECONDS=100000 \
	    scripts/test.sh --filter 'Integration/(Chaos|StorePoints|Disks)'

soak: build ## The same for long (SECONDS, 3600): memory, descriptors and disk must be flat at the end.
	@ROOST_CHAOS_SOAK=1 ROOST_CHAOS_SECONDS=$(or $(SECONDS),3600) ROOST_CHAOS_SEED=$(SEED) ROOST_TEST_SECONDS=100000 \
	    scripts/test.sh --filter 'Integration/Chaos'

install: build ## Install the binary below PREFIX (default /usr/local).
	install -D -m 0755 .build/release/roost $(DESTDIR)$(PREFIX)/bin/roost

install-r: setup ## Install the R package, with its vignettes, in R's first library (R_LIBS chooses another).
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	    scripts/build_r.sh "$$work" >"$$work/log" 2>&1 && R CMD INSTALL --no-test-load "$$work"/roost_*.tar.gz >>"$$work/log" 2>&1 \
	    || { cat "$$work/log" >&2; exit 1; }; grep '^\* installing to library' "$$work/log" | tail -n 1

clean: ## Remove everything that was built or measured here.
	rm -rf .build .bench
