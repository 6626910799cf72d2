# shellcheck shell=bash
# What train_full_1p.sh and train_performance_1p.sh share; they source it after common.sh.

NETWORK=Polygen_for_TensorFlow
TRAIN_FLAGS='data_path datapath output_path training_steps train_steps precision_mode batch_size
  learning_rate config device npu_option python'
TRAIN_FLAGS=${TRAIN_FLAGS//$'\n'/ }

RUN_MODULE='import runpy, sys
sys.path = [sys.argv.pop(1)] + [path for path in sys.path if path]
runpy.run_module("polygen.train", run_name="__main__", alter_sys=True)'

# usage_of WHAT STEPS: the text of --help.
usage_of() {
  cat << END
$1

  bash ${0##*/} --data_path=../meshes --training-steps=5000 --precision_mode=mix

Flags (- and _ are alike; --flag=value or --flag value; relative paths start at the folder the
script is called from; flags left out take the defaults of python -m polygen.train):
  --data_path DIR         folder of OBJ files or of subfolders, or the parent of meshes/
  --output_path DIR       run folder; an unfinished run in it is continued (default: a new
                          scripts/output/\$ASCEND_DEVICE_ID/run, run_2, ...)
  --training_steps N      also --train_steps (default: $2)
  --precision_mode MODE   mix: mixed precision where this device gains from it
  --batch_size N          meshes per step
  --learning_rate X       at the start
  --config FILE.json      settings in the form of the config.json of a run
  --device DEVICE         auto, cpu, gpu or npu (default: auto)
  --npu_option NAME=VALUE option of the NPU session; may be repeated
  --python PROGRAM        the interpreter (default: \$PYTHON, else python3)
  --help                  this text
  -- FLAGS                flags of python -m polygen.train to pass on

Environment: ASCEND_DEVICE_ID (default 0).
Files, in scripts/output/\$ASCEND_DEVICE_ID; older ones stay as FILE.1, FILE.2, ...:
  train_\$ASCEND_DEVICE_ID.log   all that polygen.train and TensorFlow print
  CASE_NAME.log                 the figures (TrainingTime: milliseconds per step)
END
}

# train_and_report CASE DEFAULTS... : trains and prints the figures; CASE is acc or perf, DEFAULTS
# are flags of polygen.train before those in `train_flags`.
train_and_report() {
  local case=$1 log status
  shift
  one_device_environment
  find_python
  log=$OUTPUT/train_$ASCEND_DEVICE_ID.log
  logged "$log" "$PYTHON" -c "$RUN_MODULE" "$ROOT" "$@" \
    "--output_path=${run_folder:-$(unused_path "$OUTPUT/run" _)}" \
    ${train_flags[@]+"${train_flags[@]}"} ${passed_on[@]+"${passed_on[@]}"}
  status=$?
  if [ $status -ne 0 ]; then
    echo "Training ended with exit code $status; its output is in $log" >&2
    exit $status
  fi
  report "$case" "$log"
  notice "$log"
}

run_folder=''
train_flags=()
on_flag() {
  case $1 in
    output_path) run_folder=$2 ;;
    python) PYTHON=$2 ;;
    train_steps) train_flags+=("--training_steps=$2") ;;
    *) train_flags+=("--$1=$2") ;;
  esac
}

# last_field LOG PREFIX N: field N of the last line that starts with PREFIX.
last_field() {
  awk -v prefix="$2" -v field="$3" 'index($0, prefix) == 1 {value = $field} END {print value}' "$1"
}

# calculate 'A OPERATOR B': nan if one of them is.
calculate() {
  case $1 in
    *nan* | *inf*) echo nan ;;
    *) LC_ALL=C awk "BEGIN {printf \"%.6g\\n\", $1}" ;;
  esac
}

# report CASE LOG: the figures of a finished training, on the screen and in the case log.
report() {
  local log=$2 vertices faces step_time total_time folder batch_size fps case_name
  step_time=$(last_field "$log" 'StepTime: ' 2)
  if [ -z "$step_time" ]; then
    echo 'Nothing was trained: there are no figures'
    return
  fi
  vertices=$(last_field "$log" 'Loss (vertices) ' 3)
  faces=$(last_field "$log" 'Loss (faces) ' 3)
  total_time=$(last_field "$log" 'TimetoTrain: ' 2)
  folder=$(sed -n 's/^Run folder: //p' "$log" | tail -n 1)
  batch_size=$(sed -n 's/^ *"batch_size": \([0-9]*\).*/\1/p' "$folder/config.json")
  fps=$(calculate "$batch_size / $step_time")
  case_name=${NETWORK}_bs${batch_size}_${RANK_SIZE}p_$1

  echo '------------------ Final result ------------------'
  echo "Final Performance images/sec : $fps"
  echo "Final Performance sec/step : $step_time"
  echo "E2E Training Duration sec : $total_time"
  keep_old "$OUTPUT/$case_name.log"
  cat > "$OUTPUT/$case_name.log" << END
Network = $NETWORK
RankSize = $RANK_SIZE
BatchSize = $batch_size
DeviceType = $(uname -m)
CaseName = $case_name
ActualFPS = $fps
TrainingTime = $(calculate "1000 * $step_time")
ActualLoss = $(calculate "$vertices + $faces")
E2ETrainingTime = $total_time
END
  echo "Figures in $OUTPUT/$case_name.log, log in $log"
}
