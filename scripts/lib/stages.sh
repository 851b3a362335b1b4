# Stages of scripts/test: each runs with its output in a log of its own, tells in one line how it went, and adds
# to the sum. Sourced, not run.

LOGS="$ROOT/target/test"
mkdir -p "$LOGS"

passed=0
failed=0
last_stage_passed=yes

# A terminal gets colour; a log of CI does not.
if [ -t 1 ]; then green=$'\e[32m' red=$'\e[31m' bold=$'\e[1m' plain=$'\e[0m'; else green='' red='' bold='' plain=''; fi

# Runs the command with its output in the log; leaves `log`, `status` and `took` for the caller.
run_logged() {
    local name=$1 begun=$SECONDS
    shift
    log="$LOGS/$(printf '%s' "$name" | tr -cs 'A-Za-z0-9' '-').log"
    printf '%s== %s%s\n' "$bold" "$name" "$plain"
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    took=$((SECONDS - begun))
}

# One check that passes or fails as a whole.
stage() {
    run_logged "$@"
    if [ "$status" -eq 0 ]; then
        record "$1" 1 0
    else
        record "$1" 0 1
    fi
}

# A suite: its own counts are read from its log. A suite that fails without counting a failure (it did not
# compile, it crashed) counts as one, and so does a test that was skipped: nothing here may be left out.
stage_counted() {
    local kind=$1 name=$2 counts
    shift 2
    run_logged "$name" "$@"
    counts=$("$PYTHON" scripts/lib/count.py "$kind" "$log") || counts="0 0 0"
    read -r good bad left_out <<<"$counts"
    if [ "$left_out" -gt 0 ]; then
        printf '   %s%s left out: a test runs or it fails%s\n' "$red" "$left_out" "$plain"
        bad=$((bad + left_out))
    fi
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ $((good + bad)) -eq 0 ]; then bad=1; fi
    record "$name" "$good" "$bad"
}

# Adds to the sum and says so; a failure shows the end of its log, and figures are shown either way.
record() {
    local name=$1 good=$2 bad=$3
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$bad" -eq 0 ]; then
        last_stage_passed=yes
        printf '   %s%d passed%s in %d s\n' "$green" "$good" "$plain" "$took"
    else
        last_stage_passed=no
        tail -n 120 "$log" | sed 's/^/   | /'
        printf '   %s%s: %d passed, %d failed%s in %d s, log: %s\n' \
            "$red" "$name" "$good" "$bad" "$plain" "$took" "${log#"$ROOT"/}"
    fi
    sed -n 's/^figure: /   /p' "$log"
}

# Whether the stage before was without a failure.
stage_passed() { [ "$last_stage_passed" = yes ]; }

# The sum, as the last line.
total() {
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
    exit
}
