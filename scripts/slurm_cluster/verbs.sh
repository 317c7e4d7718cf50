# The verbs, one function each; arguments are counted already. Sourced by scripts/slurm-cluster.

verb_up() {
  local begin host remembered
  begin=$(milliseconds)
  check_settings
  "$repository/scripts/install_packages" --cluster
  if some_host_is_on; then
    # Daemons that run would not read the new configuration.
    remembered=$(diff "$dir/env" <(settings_to_remember)) ||
      fail "the cluster in $dir is up with other settings; 'down' first. The difference:"$'\n'"$remembered"
  else
    [ ! -s "$dir/state/clustername" ] || [ "$(tr -d '\0\n' <"$dir/state/clustername")" = "$cluster_name" ] ||
      fail "the cluster in $dir has another name than $cluster_name; 'purge' first"
    write_configuration
  fi
  for host in ctl $(compute_nodes); do
    power_on "$host"
  done
  await_boot ctl
  inside ctl start_controller
  for host in $(compute_nodes); do
    await_boot "$host"
    link ctl set "port-$host" up
    inside "$host" start_daemon "$host" munged
    inside "$host" start_daemon "$host" slurmd
  done
  wait_until 60 all_nodes_serve || {
    enter ctl sinfo -N -l >&2
    fail "not all of $nodes nodes serve within 60 s; see $dir/hosts/*/log"
  }
  echo "up: $nodes nodes in $dir after $(($(milliseconds) - begin)) ms"
}
some_host_is_on() {
  local host
  for host in $(hosts_with_a_folder); do
    ! is_on "$host" || return 0
  done
  return 1
}
all_nodes_serve() {
  local serving
  serving=$(enter ctl sinfo -h -N -p batch -t idle,mix,alloc,comp -o %N 2>/dev/null | sort -u | wc -l)
  [ "$serving" -lt "$nodes" ] || return 0
  # With ReturnToService=1 a node that was rebooted under its jobs waits for its administrator. A * means: does not answer.
  enter ctl sinfo -h -N -p batch -t down,drain -o '%N %T' 2>/dev/null | sed -n '/\*/!s/ .*//p' |
    while read -r host; do
      enter ctl scontrol update "node=$host" state=resume
    done
  return 1
}

verb_down() {
  local host name
  if is_on ctl && [ -e "$dir/hosts/ctl/booted" ]; then
    for name in slurmctld slurmdbd mariadbd; do
      inside ctl stop_daemon "$name" TERM || true
    done
  fi
  for host in $(hosts_with_a_folder); do
    power_off "$host"
  done
  echo "down"
}

verb_purge() {
  [ ! -d "$dir" ] || {
    # Whatever else lies there is not a cluster's.
    [ -f "$dir/env" ] || [ -z "$(find "$dir" -mindepth 1 ! -path "$dir/lock" -print -quit)" ] ||
      fail "$dir is not the folder of a cluster: nothing is deleted"
    verb_down >/dev/null
    rm -rf --one-file-system "$dir"
  }
  echo "purged"
}

verb_status() {
  local host pid all_on=yes
  [ -f "$dir/env" ] || fail "there is no cluster in $dir"
  for host in ctl $(compute_nodes); do
    if pid=$(pid_of "$host"); then
      echo "$host on pid=$pid address=$(address "$host")"
    else
      echo "$host off"
      all_on=no
    fi
  done
  is_on ctl || return 1
  enter ctl timeout 10 sinfo -N -p batch -o "%N %T %C %G %E" || all_on=no
  enter ctl timeout 10 squeue || all_on=no
  [ $all_on = yes ]
}

verb_exec() {
  local user=root host=ctl folder= environment=() fields way
  while [ $# -gt 0 ]; do
    case $1 in
      -u | -n | -d | -e) [ $# -ge 2 ] || wrong_usage "exec: $1 needs a value" ;;&
      -u) user=$2 ;;
      -n) host=$2 ;;
      -d) folder=$2 ;;
      -e)
        [[ $2 == [A-Za-z_]*=* ]] || wrong_usage "exec: -e $2 is not VAR=VALUE"
        environment+=("$2")
        ;;
      --)
        shift
        break
        ;;
      -*) wrong_usage "exec has no option $1" ;;
      *) break ;;
    esac
    shift 2
  done
  [ $# -gt 0 ] || wrong_usage "exec needs a command"
  known_host "$host"
  needs_on "$host"
  IFS=: read -ra fields < <(grep "^$user:" "$dir/etc/passwd") || wrong_usage "there is no user $user"
  way_into "$host"
  exec "${way[@]}" env -i PATH="$PATH" HOME="${fields[5]}" USER="$user" LOGNAME="$user" TERM="${TERM:-dumb}" LANG=C.UTF-8 \
    "${environment[@]}" setpriv --reuid="${fields[2]}" --regid="${fields[3]}" --init-groups \
    env -C "${folder:-${fields[5]}}" "$@"
}

verb_kill() {
  known_host "$1"
  power_off "$1"
}

verb_start() {
  local off_since wait_ms
  # slurmctld sees a reboot only if it began after the node's last answer, and it counts in whole seconds.
  if [ "$1" != ctl ] && is_off "$1" && [ -s "$dir/hosts/$1/off_since_ms" ]; then
    read -r off_since <"$dir/hosts/$1/off_since_ms"
    wait_ms=$((off_since + 3000 - $(milliseconds)))
    [ $wait_ms -le 0 ] || sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
  fi
  [ "$1" = ctl ] || needs_on ctl
  power_on "$1"
  await_boot "$1"
  [ "$1" != ctl ] || inside ctl start_controller
}

verb_netdown() {
  known_host "$1"
  needs_on ctl
  link ctl set "port-$1" down
}
verb_netup() {
  known_host "$1"
  needs_on ctl
  link ctl set "port-$1" up
}

verb_power() {
  known_node "$1"
  [[ $2 =~ ^[0-9]{1,7}$ ]] || wrong_usage "power: $2 is no whole number of watts"
  echo "$2" >"$dir/hosts/$1/pm/watts"
}

verb_daemon() {
  known_host "$1"
  case $1/$3 in
    ctl/munged | ctl/mariadbd | ctl/slurmdbd | ctl/slurmctld | node*/munged | node*/slurmd) ;;
    *) wrong_usage "$1 has no daemon $3" ;;
  esac
  needs_on "$1"
  case $2 in
    stop) inside "$1" stop_daemon "$3" TERM ;;
    kill) inside "$1" stop_daemon "$3" KILL ;;
    start) inside "$1" start_and_await_daemon "$1" "$3" ;;
    *) wrong_usage "daemon: stop, kill or start, not $2" ;;
  esac
}

verb_resume() {
  local host
  [ -f "$dir/env" ] || fail "there is no cluster in $dir"
  needs_on ctl
  for host in $(enter ctl sinfo -h -N -p batch -t down,drain -o %N); do
    enter ctl scontrol update "node=$host" state=resume
  done
}
