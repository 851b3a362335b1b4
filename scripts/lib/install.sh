# What the tests need beside a Rust toolchain: programs from Debian, packages for Python and Node at the versions
# that tests/requirements.txt and the package-lock.json of tests/sdk/node and tests/dashboard pin. Each step does nothing where all is there.
# Sourced, not run.

VENV="$ROOT/target/test/venv"
PYTHON=python3

# Debian packages for every program that cannot be found; needs root or sudo only then.
install_programs() {
    local part=$1 missing=()
    need() { command -v "$1" >/dev/null || missing+=("$2"); }

    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install a Rust toolchain (rustup, stable) first" >&2
        return 1
    fi
    need cc build-essential
    need python3 python3
    # The tests start servers of their own.
    need redis-server redis-server
    # Debian keeps PostgreSQL's own programs apart, by version.
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || need initdb postgresql
    need psql postgresql-client
    PATH="$PATH:/usr/sbin:/sbin" need pgbouncer pgbouncer
    if [ "$part" != rust ]; then
        python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
        need node nodejs
        need npm npm
        need setpriv util-linux
        # Who is told of alerts.
        need prometheus-alertmanager prometheus-alertmanager
        # What reads our metrics: promtool judges their form and the rules, a Prometheus scrapes and evaluates them.
        need promtool prometheus
        need prometheus prometheus
        # The dashboard is looked at as its viewers do.
        need chromium chromium
    fi
    if [ "$part" = all ]; then
        need curl curl
        need wrk wrk
        # Debian keeps these where only root's PATH looks.
        PATH="$PATH:/usr/sbin:/sbin"
        need nginx nginx-light
        need haproxy haproxy
    fi
    [ ${#missing[@]} -eq 0 ] && return 0

    if ! command -v apt-get >/dev/null; then
        echo "missing, and there is no apt-get to install them with: ${missing[*]}" >&2
        return 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "run as root, or install: ${missing[*]}" >&2; return 1; }
        as_root=(sudo)
    fi
    printf '== Debian packages: %s\n' "${missing[*]}"
    local log="$LOGS/apt.log"
    apt_install "${missing[@]}" >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; return 1; }
}

# Installs without starting the services that some packages bring (nginx, postgresql): only their programs are wanted.
# A subshell, so that the policy that keeps them down goes away with it, however it ends.
apt_install() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
)

# The Python suites' packages, in an environment of their own. Rebuilt where the list or the interpreter changed.
install_python_packages() {
    local wanted
    wanted=$(cat tests/requirements.txt && "$PYTHON" -VV)
    [ -f "$VENV/installed" ] && [ "$(cat "$VENV/installed")" = "$wanted" ] && return 0
    rm -rf "$VENV"
    "$PYTHON" -m venv "$VENV" &&
        "$VENV/bin/pip" install --disable-pip-version-check --no-input --only-binary :all: -r tests/requirements.txt &&
        printf '%s' "$wanted" >"$VENV/installed"
}

# The Node suites' packages, exactly as locked; no package runs a script of its own.
install_node_packages() {
    local folder wanted
    for folder in tests/sdk/node tests/dashboard; do
        wanted=$(cat "$folder/package-lock.json")
        [ -f "$folder/node_modules/.installed" ] && [ "$(cat "$folder/node_modules/.installed")" = "$wanted" ] && continue
        (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) &&
            printf '%s' "$wanted" >"$folder/node_modules/.installed" || return 1
    done
}
