# What runs on the machine, outside of the hosts: makes their namespaces and cables, knows which are up, enters them. Sourced
# by scripts/slurm-cluster.
#
# All cables end in a bridge "lan" inside ctl's network namespace, so the machine's own network has nothing of the cluster.
# To `netdown` is to take a cable's end on the bridge down, as a switch's port: the host keeps its card and its address.

started_at() { # PID: in clock ticks; with the PID it names one process for all times. 1 if it has ended
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  line=${line##*) }
  read -ra line <<<"$line"
  [[ ${line[0]} != [ZX] ]] && echo "${line[19]}"
}

pid_of() { # HOST: its first process, as the machine sees it; 1 if the host is off
  local pid start
  { read -r pid start <"$dir/hosts/$1/init.pid"; } 2>/dev/null || return 1
  [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}
is_on() { pid_of "$1" >/dev/null; } # HOST
is_off() { ! is_on "$1"; }         # HOST
needs_on() { is_on "$1" || fail "$1 is off: power it on with 'start $1'"; } # HOST

way_into() { # HOST: sets `way`, the words to put before a command that root is to run there
  local pid
  pid=$(pid_of "$1") || fail "$1 is off"
  way=(nsenter --target "$pid" --root --wd --mount --uts --ipc --net --pid)
  [ ! -e /proc/self/ns/time ] || way+=(--time)
  way+=(--)
}
enter() { # HOST COMMAND...: as root, with nothing of the caller's environment: a TMPDIR, say, need not be there
  local way
  way_into "$1"
  "${way[@]}" env -i PATH="$PATH" LC_ALL=C STOA_CLUSTER_DIR="$dir" "${@:2}"
}
inside() { # HOST FUNCTION ARGUMENT...: a function of host.sh or controller.sh
  local host=$1
  shift
  enter "$host" "$program" _inside "$@"
}

power_on() { # HOST: returns when it has a network card, and boots on
  local host=$1 folder=$dir/hosts/$1 own_uptime uptime rest unshare_pid pid
  is_off "$host" || return 0
  rm -f "$folder"/{init.pid,booting,booted}
  # slurmctld sees by a node's uptime that it was rebooted. A kernel or container may refuse this: then it does not see it.
  read -r uptime rest </proc/uptime
  own_uptime=(--time --boottime "-${uptime%.*}")
  unshare "${own_uptime[@]}" --fork true 2>/dev/null || own_uptime=()
  setsid env -i PATH="$PATH" LC_ALL=C "STOA_CLUSTER_DIR=$dir" unshare "${own_uptime[@]}" --net --uts --ipc --mount --pid \
    --fork --kill-child "$program" _inside boot_host "$host" </dev/null >"$folder/log/boot.log" 2>&1 &
  unshare_pid=$!
  wait_until 30 has_booted_or_died "$folder" "$unshare_pid" || fail "$host does not boot; see $folder/log/boot.log"
  [ -s "$folder/booting" ] || fail "$host does not boot: $(tail -n 3 "$folder/log/boot.log")"
  read -r pid <"$folder/booting"
  echo "$pid $(started_at "$pid")" >"$folder/init.pid"
  plug_cables "$host" || {
    power_off "$host"
    fail "$host gets no network card"
  }
}
has_booted_or_died() { [ -s "$1/booting" ] || ! kill -0 "$2" 2>/dev/null; } # FOLDER PID

link() { # HOST ARGUMENT...: `ip link` in the network of HOST, but with the machine's process numbers
  local pid
  pid=$(pid_of "$1") && nsenter --target "$pid" --net ip link "${@:2}"
}
plug_cables() { # HOST
  local other
  if [ "$1" = ctl ]; then
    link ctl add lan arp off type bridge forward_delay 0 && link ctl set lan up || return 1
    # The cables of all nodes went with the old bridge.
    for other in $(compute_nodes); do
      is_off "$other" || plug_cable "$other" || return 1
    done
  fi
  plug_cable "$1"
}
plug_cable() { # HOST
  # The kernel takes its time to remove the other end of one that is gone.
  link "$1" del eth0 2>/dev/null || true
  link ctl del "port-$1" 2>/dev/null || true
  # A host keeps its hardware address over a reboot: stale ARP entries would cost the others 5 s.
  link ctl add "port-$1" type veth peer name eth0 address "$(hardware_address "$1")" netns "$(pid_of "$1")" || return 1
  link ctl set "port-$1" master lan up || return 1
  # One that is up already had an address on the card that went.
  [ ! -e "$dir/hosts/$1/booted" ] || inside "$1" configure_network "$1"
}

power_off() { # HOST
  local pid
  pid=$(pid_of "$1") || return 0
  milliseconds >"$dir/hosts/$1/off_since_ms"
  kill -KILL "$pid"
  wait_until 30 is_off "$1" || fail "$1: process $pid does not die"
  rm -f "$dir/hosts/$1/init.pid"
}

await_boot() { # HOST
  wait_until 90 test -e "$dir/hosts/$1/booted" || fail "$1 does not boot; see $dir/hosts/$1/log/boot.log"
}
