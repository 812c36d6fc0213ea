#!/usr/bin/env bash
# Train on a GPU machine that has PyTorch and no network. From the root of a copy of this repository:
#
#   bash examples/train_on_gpu.sh WHEELS DATA OUT MINUTES [options of `svmv train`]
#
# WHEELS  folder of wheels for what the machine lacks (av, numba, llvmlite …); what it has is used as it is
# DATA    folder of videos, of .tar packs of videos, or both
# OUT     the run's folder: weights.safetensors (new every minute), state.pt, metrics.jsonl, train.log, gpu.log
#
# Returns at once; training goes on in the background. The same command goes on with an interrupted run.
set -euo pipefail
wheels=$1 data=$2 out=$3 minutes=$4
shift 4
mkdir -p "$out"
out=$(cd "$out" && pwd)
python3 -m venv --system-site-packages "$out/venv"
for wheel in "$wheels"/*.whl; do
  [ -e "$wheel" ] && "$out/venv/bin/python" -m pip install --quiet --no-index --no-deps "$wheel"
done
for pack in "$data"/*.tar; do
  if [ -e "$pack" ]; then mkdir -p "$out/packs" && tar -xf "$pack" -C "$out/packs"; fi
done
sources=()
if [ -d "$out/packs" ]; then sources+=(--data "$out/packs"); fi
if [ -n "$(find "$data" -type f ! -name '*.tar' -print -quit)" ]; then sources+=(--data "$data"); fi
if command -v nvidia-smi >/dev/null; then
  setsid nvidia-smi dmon -s um -d 10 >"$out/gpu.log" 2>&1 </dev/null &
  watch=$!
fi
export PYTHONPATH="$PWD:$PWD/models${PYTHONPATH:+:$PYTHONPATH}"
setsid bash -c '
  "$1"/venv/bin/python -c "from svmv_cli.app import main; main()" train "${@:3}" >"$1"/train.log 2>&1
  [ -z "$2" ] || kill "$2"
' training "$out" "${watch:-}" "${sources[@]}" --output "$out" --minutes "$minutes" --batch 64 "$@" </dev/null &
echo "training; follow it with: tail -f $out/train.log"
