#!/usr/bin/env bash
# The paper's whole schedule and the speed beside PyTorch, on the GPU of this
# machine, within LIMIT seconds; called again, it continues where it stopped.
#
#   OUT=out bash benchmarks/on_gpu.sh
#   DEVICE=cpu CONFIG=configs/smoke.py DATASET=quick LIMIT=900 bash benchmarks/on_gpu.sh
#
# It renders the dataset, trains, writes the weights, makes the pictures of the
# report, times CASES beside PyTorch, and prints one table; all that it
# makes is in OUT, in pieces of at most 15 MB. A step that fails is named in the
# table and does not stop those after it.
set -uo pipefail
cd "$(dirname "$0")/.."

OUT=${OUT:-out} LIMIT=${LIMIT:-900} DEVICE=${DEVICE:-gpu}
CONFIG=${CONFIG:-configs/virtual_smiles.py} DATASET=${DATASET:-full}
WORK=${WORK:-runs/on_gpu} DATA=${DATA:-data} PYTHON=${PYTHON:-python3}
# Seconds that are kept for what comes after the training. On an H200 the
# training took 335 with its programs compiled, rendering 115 on 16 cores.
RESERVE=${RESERVE:-300}
CASES=${CASES:-vae-64 conditional-4 modes-4 translator-16 generate-1}

mkdir -p "$OUT"
log=$OUT/log.txt
note() { echo "[$SECONDS s] $*" | tee -a "$log"; }
left() { echo $((LIMIT - SECONDS)); }

# Runs a command, its name first, within $2 seconds and with its output in a
# file of that name. SIGTERM lets a training save its step.
try() {
  local name=$1 seconds=$2 status=0 began=$SECONDS
  shift 2
  if [ "$seconds" -le 5 ]; then
    note "$name: no time left"
    return 1
  fi
  timeout --signal=TERM --kill-after=30 "$seconds" "$@" > "$OUT/$name.txt" 2>&1 ||
    status=$?
  note "$name: $((SECONDS - began)) s, exit code $status"
  [ $status = 0 ] || tail -n 3 "$OUT/$name.txt" | tee -a "$log"
  return $status
}

{ command -v nvidia-smi > /dev/null && nvidia-smi --format=csv,noheader \
  --query-gpu=name,memory.total,driver_version; } | tee -a "$log"

try render "$(left)" $PYTHON -m tfds_builders.virtual_smiles \
  --config="$DATASET" --data_dir="$DATA"
try train $(($(left) - RESERVE)) $PYTHON -m cmm_jax.main --config="$CONFIG" \
  --config.workdir="$WORK" --config.data.data_dir="$DATA" \
  --config.data.name="virtual_smiles/$DATASET" --config.train.profile=True \
  --config.train.log_every_steps=200 --config.train.picture_every_steps=10000 \
  --config.train.checkpoint_every_steps=5000
try phases 60 $PYTHON -m benchmarks.training_time "$WORK"
try export "$(left)" $PYTHON -m cmm_jax.export --workdir="$WORK" \
  --out="$OUT/weights.safetensors"
for dtype in bfloat16 float32; do
  try "speed_$dtype" "$(left)" $PYTHON -m benchmarks.compare_torch \
    --device="$DEVICE" --dtype=$dtype --rounds=1 --json="$OUT/$dtype.jsonl" \
    $(printf -- '--case=%s ' $CASES)
done
try report "$(left)" $PYTHON -m cmm_jax.report --workdir="$WORK" &&
  cp "$WORK"/report/*.png "$OUT" 2> /dev/null

# What comes home from a lent machine may be limited in the size of a file.
[ ! -f "$OUT/weights.safetensors" ] || {
  split --bytes=15M --numeric-suffixes "$OUT/weights.safetensors" \
    "$OUT/weights.safetensors." && rm "$OUT/weights.safetensors"
}
cat "$OUT"/phases.txt "$OUT"/speed_*.txt | tee "$OUT/table.txt"
