# shellcheck shell=bash
# What the scripts of this folder share; they source it. Nothing here changes the working directory,
# so a relative path that the user gives means what it says.

SCRIPTS=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname -- "$SCRIPTS")
PYTHON=${PYTHON:-python3}

COMPILED_ON_NPU='The model has been compiled on the Ascend AI processor'

# Ends the script with one line for an error that the user can mend.
fail() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit 2
}

# parse_flags "NAME ..." "$@": calls the script's `usage` for --help, its `on_flag NAME VALUE` for
# each flag, with '_' in its name, and puts what follows -- into the array `passed_on`.
# Every flag takes a value, as --name=value or --name value.
passed_on=()
parse_flags() {
  local known=" $1 " name value
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --) shift; passed_on=("$@"); return ;;
      -h | --help) usage; exit 0 ;;
      --*) ;;
      *) fail "unexpected argument '$1'; --help lists the flags" ;;
    esac
    name=${1%%=*}
    name=${name#--}
    name=${name//-/_}
    [[ $known == *" $name "* ]] || fail "unknown flag ${1%%=*}; --help lists the flags"
    if [[ $1 == *=* ]]; then
      value=${1#*=}
    else
      [[ $# -gt 1 && $2 != --* ]] || fail "flag $1 needs a value"
      value=$2
      shift
    fi
    shift
    on_flag "$name" "$value"
  done
}

# Makes PYTHON an absolute path.
find_python() {
  local path
  path=$(command -v -- "$PYTHON") ||
    fail "there is no '$PYTHON': name the interpreter with --python"
  case $path in
    /*) PYTHON=$path ;;
    *) PYTHON=$PWD/$path ;;
  esac
}

# One process on one device. The adapter's graph building needs JOB_ID, and $COMPILED_ON_NPU is in
# the log only while TensorFlow's C++ logging is not reduced.
one_device_environment() {
  unset TF_CPP_MIN_LOG_LEVEL
  export ASCEND_DEVICE_ID=${ASCEND_DEVICE_ID:-0}
  export RANK_SIZE=1 RANK_ID=0 JOB_ID=${JOB_ID:-10087}
  [[ $ASCEND_DEVICE_ID =~ ^[0-9]+$ ]] ||
    fail "ASCEND_DEVICE_ID must be a number, not '$ASCEND_DEVICE_ID'"
  OUTPUT=$SCRIPTS/output/$ASCEND_DEVICE_ID
  mkdir -p -- "$OUTPUT" || fail "cannot write into $SCRIPTS/output"
}

# The first of PATH, PATH<separator>2, PATH<separator>3, ... that does not exist.
unused_path() {
  local path=$1 number=1
  while [ -e "$path" ]; do
    number=$((number + 1))
    path=$1$2$number
  done
  printf '%s\n' "$path"
}

# Moves a file of an earlier run out of the way: FILE.1, FILE.2, ...
keep_old() {
  local number=1
  [ -e "$1" ] || return 0
  while [ -e "$1.$number" ]; do
    number=$((number + 1))
  done
  mv -- "$1" "$1.$number" || fail "cannot rename $1"
}

# logged LOG COMMAND...: shows what the command prints and keeps it, standard error included.
# Ctrl-C is for the command alone, which ends in its own way. Returns its exit code.
logged() {
  local log=$1
  shift
  keep_old "$log"
  "$@" 2>&1 | tee -i -- "$log"
  return "${PIPESTATUS[0]}"
}

# The last line of every script: whether an NPU was used, by what its compiler wrote into the log.
notice() {
  if grep -qF -- "$COMPILED_ON_NPU" "$1"; then
    echo "used Ascend NPU (in the log: $COMPILED_ON_NPU)"
  else
    echo "haven't used Ascend NPU"
  fi
}
