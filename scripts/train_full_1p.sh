#!/usr/bin/env bash
# Trains both models in full on one device and reports losses and speed; --help explains.
set -u -o pipefail
# shellcheck source=common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=train_common.sh
source "$SCRIPTS/train_common.sh"

usage() {
  usage_of 'Trains both models in full on one device and reports losses and speed.' \
    'that of polygen.train, 5000'
}

parse_flags "$TRAIN_FLAGS" "$@"
train_and_report acc
