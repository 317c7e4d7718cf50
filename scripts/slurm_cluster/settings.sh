# What a cluster is made of: settings from the environment and from the last `up`, names and addresses of its hosts; and
# what all other parts use: errors, deadlines, the lock. Sourced by scripts/slurm-cluster.

network=10.77.0 # a /24 that exists only inside the namespaces
gpu_type=h100
users=(alice:2001 bob:2002 carol:2003 dave:2004) # exist only inside the hosts

fail() { # MESSAGE
  echo "slurm-cluster: $1" >&2
  exit 1
}

milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }

wait_until() { # SECONDS COMMAND...: asks until COMMAND says yes; 1 if it does not in time
  local deadline=$(($(milliseconds) + $1 * 1000))
  shift
  until "$@"; do
    [ "$(milliseconds)" -lt $deadline ] || return 1
    sleep 0.02
  done
}

answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; } # HOST PORT

load_settings() {
  dir=${STOA_CLUSTER_DIR:-/var/lib/stoa-cluster}
  [[ $dir != /* ]] || dir=$(readlink -m "$dir")
  # slurm.conf has no way to quote, and % and [ mean something in its paths.
  [[ $dir =~ ^(/[A-Za-z0-9._+-]+)+$ ]] ||
    fail "STOA_CLUSTER_DIR=$dir: give an absolute path of letters, digits and ._+- only"
  if [ -e "$dir" ]; then
    # What is remembered is run by root.
    [ -d "$dir" ] && [ -O "$dir" ] || fail "$dir is no folder of root's: give another STOA_CLUSTER_DIR"
    [ ! -f "$dir/env" ] || . "$dir/env"
  fi
  nodes=${STOA_CLUSTER_NODES:-4}
  cpus=${STOA_CLUSTER_CPUS:-8}
  memory_mib=${STOA_CLUSTER_MEM:-16000}
  gpus=${STOA_CLUSTER_GPUS:-4}
  share=${STOA_CLUSTER_SHARE:-}
  extra_conf=${STOA_CLUSTER_EXTRA_CONF:-}
  [ -z "$extra_conf" ] || extra_conf=$(readlink -m "$extra_conf")
  slurmd_timeout_s=${STOA_CLUSTER_SLURMD_TIMEOUT:-10}
  cluster_name=${STOA_CLUSTER_NAME:-stoa}
  export STOA_CLUSTER_DIR=$dir
}

whole_number() { # NAME VALUE LEAST MOST
  [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] ||
    fail "STOA_CLUSTER_$1=$2: give a whole number from $3 to $4"
}

check_settings() {
  whole_number NODES "$nodes" 1 200
  whole_number CPUS "$cpus" 1 1024
  whole_number MEM "$memory_mib" 256 100000000
  whole_number GPUS "$gpus" 0 64
  whole_number SLURMD_TIMEOUT "$slurmd_timeout_s" 1 65533
  [[ $cluster_name =~ ^[a-z][a-z0-9_]{0,30}$ ]] ||
    fail "STOA_CLUSTER_NAME=$cluster_name: give small letters, digits and _, a letter first"
  [ -z "$extra_conf" ] || [ -f "$extra_conf" ] || fail "STOA_CLUSTER_EXTRA_CONF: there is no file $extra_conf"
  local path
  while read -rd : path; do
    case $path in
      "" | /tmp/*) [ -z "$path" ] || [ -d "$path" ] || fail "STOA_CLUSTER_SHARE: there is no folder $path" ;;
      *) fail "STOA_CLUSTER_SHARE: $path is not below /tmp; all hosts see such paths anyway" ;;
    esac
  done <<<"$share:"
}

settings_to_remember() {
  local line
  for line in "NODES $nodes" "CPUS $cpus" "MEM $memory_mib" "GPUS $gpus" "SHARE $share" "EXTRA_CONF $extra_conf" \
    "SLURMD_TIMEOUT $slurmd_timeout_s" "NAME $cluster_name"; do
    printf ': ${STOA_CLUSTER_%s=%q}\n' "${line%% *}" "${line#* }"
  done
}

compute_nodes() {
  local i
  for ((i = 1; i <= nodes; i++)); do
    echo "node$i"
  done
}
# Also hosts of an earlier `up` with more nodes.
hosts_with_a_folder() {
  local path
  for path in "$dir"/hosts/*/; do
    path=${path%/}
    [ ! -d "$path" ] || echo "${path##*/}"
  done
}
known_host() { # HOST
  [ -f "$dir/env" ] || fail "there is no cluster in $dir: start one with 'up'"
  grep -qxF -- "$1" <(echo ctl; compute_nodes) || wrong_usage "there is no host $1: ctl, node1 .. node$nodes"
}
known_node() { # HOST
  known_host "$1"
  [ "$1" != ctl ] || wrong_usage "ctl is no compute node"
}

host_number() { # HOST: the last byte of its addresses
  case $1 in
    ctl) echo 1 ;;
    *) echo $((10 + ${1#node})) ;;
  esac
}
address() { echo "$network.$(host_number "$1")"; }                  # HOST
hardware_address() { printf '02:00:00:00:00:%02x\n' "$(host_number "$1")"; } # HOST

# with_lock FUNCTION ARGUMENT...: one at a time per cluster. Processes that it starts do not hold the lock.
with_lock() {
  local lock=$dir/lock
  [ "$verb" = up ] || [ -d "$dir" ] || { "$@"; return; }
  # The folder may have been purged while another cluster's command waited here.
  until [ "$lock" -ef /proc/$$/fd/9 ]; do
    mkdir -p "$dir"
    exec 9>"$lock"
    flock 9
  done
  "$@" 9>&-
}
