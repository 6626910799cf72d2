#!/usr/bin/env bash
# Runs the golden and the sampling tests on the chosen device; --help explains.
set -u -o pipefail
# shellcheck source=common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << END
Runs the tests that compare the models with DeepMind's and the sampling tests on one device.

Flags (--flag=value or --flag value):
  --device DEVICE    auto, cpu, gpu or npu (default: auto)
  --python PROGRAM   the interpreter (default: \$PYTHON, else python3)
  --help             this text
  -- FLAGS           flags of pytest to pass on

Environment: ASCEND_DEVICE_ID (default 0). The output is kept in
scripts/output/\$ASCEND_DEVICE_ID/model_test_\$ASCEND_DEVICE_ID.log, older ones as FILE.1, ...
END
}

device=auto
on_flag() {
  case $1 in
    device) device=$2 ;;
    python) PYTHON=$2 ;;
  esac
}

# Called through `logged`. pytest must not capture what the NPU's compiler writes: -s.
# shellcheck disable=SC2329
run_tests() {
  cd -- "$ROOT" || exit
  POLYGEN_TEST_DEVICE=$device "$PYTHON" -m pytest -s tests/test_golden.py \
    tests/test_vertex_sampling.py tests/test_face_sampling.py ${passed_on[@]+"${passed_on[@]}"}
}

parse_flags 'device python' "$@"
case $device in
  auto | cpu | gpu | npu) ;;
  *) fail "--device must be auto, cpu, gpu or npu, not '$device'" ;;
esac
one_device_environment
find_python
"$PYTHON" -c 'import pytest, hypothesis' 2> /dev/null ||
  fail "the tests need pytest and hypothesis: $PYTHON -m pip install -e '${ROOT}[test]'"
log=$OUTPUT/model_test_$ASCEND_DEVICE_ID.log
logged "$log" run_tests
status=$?
notice "$log"
# pytest's 4 is a user's error, for instance a device that is not there.
[ $status -ne 4 ] || status=2
exit $status
