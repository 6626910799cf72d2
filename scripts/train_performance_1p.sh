#!/usr/bin/env bash
# Trains both models for a few steps on one device and reports its speed; --help explains.
set -u -o pipefail
# shellcheck source=common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=train_common.sh
source "$SCRIPTS/train_common.sh"

STEPS=200

usage() {
  usage_of 'Trains both models for a few steps on one device, with one sample, and reports its speed.' \
    "$STEPS"
}

parse_flags "$TRAIN_FLAGS" "$@"
train_and_report perf "--training_steps=$STEPS" --num_samples=1
