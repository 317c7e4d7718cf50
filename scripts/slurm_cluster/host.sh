# What runs inside a host, in its own namespaces: its first process, its network card, its power meter, its daemons.
# Sourced by scripts/slurm-cluster; scripts/slurm_cluster/machine.sh starts it.

# boot_host HOST: process 1. To kill it is to pull the plug: nothing of the host survives it.
boot_host() {
  local host=$1 pid_outside rest
  read -r pid_outside rest </proc/self/stat # /proc is still the machine's
  mount --make-rprivate /
  # Left from before a crash, spool/stepd.slurm.pmix.JOB.STEP and /tmp/spmix_appdir_UID_JOB.STEP keep a requeued job from
  # starting here. A diskless node boots with neither.
  find "$dir/hosts/$host/spool" "$dir/hosts/$host/tmp" -xdev -mindepth 1 -delete
  hostname "$host"
  mount_run
  mount_configuration
  mount_tmp "$host"
  [ "$host" = ctl ] || mount_power_meter "$host"
  mount -t proc proc /proc
  setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$dir" -a -r "$dir/etc/slurm/slurm.conf" ||
    fail "users cannot reach $dir: open the folders above it to all, or give another STOA_CLUSTER_DIR"
  echo "$pid_outside" >"$dir/hosts/$host/booting"

  wait_until 30 has_network_card || fail "$host: no network card"
  configure_network "$host"
  start_daemon "$host" munged
  if [ "$host" != ctl ]; then
    run_power_meter "$host" &
    # A slurmd that finds no controller asks again after up to 40 s.
    wait_until 60 answers ctl 6817 || true
    start_daemon "$host" slurmd
  fi
  : >"$dir/hosts/$host/booted"
  # bash reaps whatever loses its parent.
  while true; do
    sleep infinity &
    wait $! || true
  done
}

has_network_card() { ip link show dev eth0 >/dev/null 2>&1; }

mount_run() {
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock /run/kept
  install -d -o munge /run/munge /run/munge_key
  install -d -o mysql /run/mysqld
  install -m 400 -o munge "$dir/etc/munge.key" /run/munge_key/munge.key
  [ ! -d /dev/shm ] || mount -t tmpfs -o mode=1777 tmpfs /dev/shm
}

mount_configuration() {
  local file
  for file in passwd group hosts nsswitch.conf resolv.conf; do
    [ ! -e "/etc/$file" ] || mount --bind "$dir/etc/$file" "$(readlink -f "/etc/$file")"
  done
  mount --bind "$dir/etc/slurm" /etc/slurm
  mount --bind "$dir/etc/openmpi-mca-params.conf" "$(readlink -f /etc/openmpi/openmpi-mca-params.conf)"
}

# A /tmp of the host's own, in which only some paths are the machine's. Folders above those are made here, so users reach
# them even where the machine's are closed, as below a mktemp -d.
mount_tmp() { # HOST
  local path
  mkdir -p /run/kept/tmp
  mount --rbind /tmp /run/kept/tmp
  mount --bind "$dir/hosts/$1/tmp" /tmp
  while read -rd : path; do
    [[ $path == /tmp/* && -d /run/kept$path ]] || continue
    # It may lie below one that is there already.
    [ ! "/run/kept$path" -ef "$path" ] || continue
    mkdir -p "$path"
    mount --rbind "/run/kept$path" "$path"
  done <<<"$share:$repository:$dir:"
  umount -l /run/kept/tmp
}

# acct_gather_energy/pm_counters reads /sys/cray/pm_counters, and nobody can make a folder in the real /sys.
mount_power_meter() { # HOST
  local entry
  mkdir -p /run/kept/sys
  mount --rbind /sys /run/kept/sys
  mount -t tmpfs -o mode=755 tmpfs /sys
  for entry in /run/kept/sys/*; do
    mkdir -p "/sys/${entry##*/}"
    mount --rbind "$entry" "/sys/${entry##*/}"
  done
  umount -l /run/kept/sys
  mkdir -p /sys/cray/pm_counters
  mount --bind "$dir/hosts/$1/pm" /sys/cray/pm_counters
}

run_power_meter() { # HOST: goes on from the energy that the meter showed before the power went off
  exec perl -e '
    use strict;
    use Time::HiRes qw(time sleep);
    my $folder = shift;
    sub first_number {
      my ($file, $default) = @_;
      open(my $in, "<", "$folder/$file") or return $default;
      my $line = <$in>;
      return defined $line && $line =~ /^\s*(\d+(?:\.\d+)?)/ ? $1 : $default;
    }
    sub show {
      my ($file, $text) = @_;
      # Always of one length, and never truncated: a reader sees the old value or the new one.
      open(my $out, -e "$folder/$file" ? "+<" : ">", "$folder/$file") or return;
      syswrite $out, $text;
    }
    my ($energy_j, $before) = (first_number("energy", 0), time);
    while (1) {
      my ($now, $power_w) = (time, first_number("watts", 500));
      $energy_j += $power_w * ($now - $before);
      $before = $now;
      show("energy", sprintf("%020.0f J %d us\n", $energy_j, $now * 1e6));
      show("power", sprintf("%010.0f W %d us\n", $power_w, $now * 1e6));
      sleep 0.5;
    }' "$dir/hosts/$1/pm" </dev/null
}

# Slurm writes a message in two parts: Nagle's algorithm and delayed acknowledgements cost 44 ms each time, without quickack.
configure_network() { # HOST
  local own
  own=$(address "$1")
  ip link set lo up
  ip addr replace "$own/24" brd + dev eth0
  ip link set eth0 up
  ip route change local "$own" dev eth0 table local proto kernel scope host src "$own" quickack 1
  ip route change "$network.0/24" dev eth0 proto kernel scope link src "$own" quickack 1
}

# A cluster to try things on need not survive the machine's loss of power, only that of its host.
database_options=(--user=mysql "--datadir=$dir/db" --innodb-buffer-pool-size=128M --innodb-log-file-size=32M
  --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --debug-no-sync --innodb-use-native-aio=0
  --performance-schema=OFF)

start_daemon() { # HOST NAME: if it does not run; does not wait until it answers
  local log=$dir/hosts/$1/log
  [ -z "$(daemon_pid "$2")" ] || return 0
  case $2 in
    munged)
      touch "$log/munged.log"
      chown munge: "$log/munged.log"
      setpriv --reuid=munge --regid=munge --clear-groups munged --force --key-file=/run/munge_key/munge.key \
        --socket=/run/munge/munge.socket.2 --pid-file=/run/munge/munged.pid --seed-file=/run/munge/munged.seed \
        --log-file="$log/munged.log" 2>>"$log/munged.err"
      ;;
    slurmd) slurmd -N "$1" 2>>"$log/slurmd.err" ;;
    slurmctld | slurmdbd) "$2" 2>>"$log/$2.err" ;;
    mariadbd)
      touch "$log/mariadbd.log"
      chown mysql: "$log/mariadbd.log"
      setsid mariadbd --no-defaults "${database_options[@]}" --socket=/run/mysqld/mysqld.sock \
        --pid-file=/run/mysqld/mysqld.pid --skip-networking --skip-log-bin --skip-name-resolve \
        --innodb-lock-wait-timeout=900 --log-error="$log/mariadbd.log" </dev/null >/dev/null 2>&1 &
      ;;
  esac
}

daemon_answers() { # HOST NAME
  case $2 in
    munged) munge -n >/dev/null 2>&1 ;;
    slurmd) answers "$1" 6818 ;;
    slurmctld) answers ctl 6817 ;;
    slurmdbd) answers ctl 6819 ;;
    mariadbd) mariadb-admin --no-defaults --socket=/run/mysqld/mysqld.sock ping >/dev/null 2>&1 ;;
  esac
}

start_and_await_daemon() { # HOST NAME
  start_daemon "$1" "$2" || fail "$1: $2 does not start; see $dir/hosts/$1/log"
  wait_until 30 daemon_answers "$1" "$2" || fail "$1: $2 does not answer within 30 s; see $dir/hosts/$1/log"
}

daemon_pid() { # NAME: nothing if it does not run
  local file pid state
  case $1 in
    munged) file=/run/munge/munged.pid ;;
    mariadbd) file=/run/mysqld/mysqld.pid ;;
    *) file=/run/$1.pid ;;
  esac
  [ -s "$file" ] && read -r pid <"$file" && { read -r state <"/proc/$pid/stat"; } 2>/dev/null || return 0
  [[ $state != "$pid ($1) "[!ZX]* ]] || echo "$pid"
}

stop_daemon() { # NAME SIGNAL: returns when it is gone
  local pid
  pid=$(daemon_pid "$1")
  [ -n "$pid" ] || return 0
  kill "-$2" "$pid"
  wait_until 30 daemon_is_gone "$1" || fail "$1 is still there 30 s after SIG$2"
}
daemon_is_gone() { [ -z "$(daemon_pid "$1")" ]; } # NAME
