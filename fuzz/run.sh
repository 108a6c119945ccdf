#!/bin/sh
# Fuzzes one target, or all, for so many seconds each: fuzz/run.sh read 600
#
# libFuzzer's instrumentation is asked of the stable compiler by hand, so neither cargo-fuzz nor a nightly toolchain
# is needed. What is found stays in fuzz/artifacts; the corpus grows in the target folder. `fuzz/run.sh keep TARGET`
# brings the smallest inputs of it that reach new code, up to 4 KiB each, into fuzz/corpus.
set -eu

cd "$(dirname "$0")"
all='read test_file plan plan_file fleet profile inventory_file listing netbox journal replay host job log playbook aws_fault control'
keep=
if [ "${1:-}" = keep ]; then
	keep=yes
	shift
fi
seconds=${2:-60}
case ${1:-all} in
all) targets=$all ;;
*) targets=$1 ;;
esac

out=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target, build scripts and procedural macros stay without instrumentation.
CARGO_TARGET_DIR=$out RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
	cargo build --release --quiet --target "$host" --bins

for target in $targets; do
	corpus=$out/corpus/$target
	mkdir -p "$corpus" "artifacts/$target" "corpus/$target"
	case $target in
	read | plan) seeds='../tests/check ../runbooks' ;;
	fleet) seeds=../runbooks/fleets ;;
	profile) seeds=../runbooks/faults ;;
	playbook) seeds=../steps/src/playbooks/recorded ;;
	*) seeds= ;;
	esac
	program=$out/$host/release/$target
	if [ -n "$keep" ]; then
		# Those that are kept already come first: they stay.
		"$program" -merge=1 -max_len=4096 "corpus/$target" "$corpus"
		continue
	fi
	# Deep recursion that a usual stack survives must not be hidden by a large one: 8 MiB is what Linux gives.
	# shellcheck disable=SC2086 # a list of folders
	"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
		-print_final_stats=1 -artifact_prefix="artifacts/$target/" "$corpus" "corpus/$target" $seeds
done
