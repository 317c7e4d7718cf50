# Writes the cluster's folder: configuration of Slurm, munge and Open MPI, and the files that the hosts see in place of the
# machine's. Called by `up` while the cluster is down. Sourced by scripts/slurm-cluster.
#
#   env lock     what `up` was started with; one command at a time
#   etc/         what is bound over the machine's /etc inside the hosts
#   dev/         stand-ins for the device files of the GPUs
#   home/ db/ state/     users' homes, MariaDB's files, slurmctld's state
#   hosts/HOST/  log/, spool/, tmp/ (its /tmp), pm/ (its power meter), and init.pid while it is up

write_configuration() {
  local host
  mkdir -p "$dir"/{etc/slurm,state,db,home,dev,hosts}
  chmod 755 "$dir" "$dir/hosts"
  for host in ctl $(compute_nodes); do
    mkdir -p "$dir/hosts/$host"/{log,spool,tmp,pm}
    chmod 1777 "$dir/hosts/$host/tmp"
  done
  chown slurm: "$dir/state" "$dir/hosts/ctl/log"
  chown mysql: "$dir/db"
  chmod 700 "$dir/db"
  write_users
  write_name_service
  write_munge_key
  write_openmpi_parameters
  make_gpu_devices
  slurm_conf >"$dir/etc/slurm/slurm.conf"
  gres_conf >"$dir/etc/slurm/gres.conf"
  # slurmd loads the plugin even where nothing uses it, and refuses an empty file; 22.05 has no "disabled".
  echo "CgroupPlugin=cgroup/v1" >"$dir/etc/slurm/cgroup.conf"
  install -m 600 -o slurm /dev/null "$dir/etc/slurm/slurmdbd.conf"
  slurmdbd_conf >"$dir/etc/slurm/slurmdbd.conf"
  settings_to_remember >"$dir/env"
}

write_users() {
  local user name id names ids
  names=$(IFS='|'; echo "${users[*]%:*}")
  ids=$(IFS='|'; echo "${users[*]#*:}")
  # The machine may have users of these names or numbers.
  grep -vE "^($names):|^[^:]*:[^:]*:($ids):" /etc/passwd >"$dir/etc/passwd"
  grep -vE "^($names):|^[^:]*:[^:]*:($ids):" /etc/group >"$dir/etc/group"
  for user in "${users[@]}"; do
    name=${user%:*} id=${user#*:}
    echo "$name:x:$id:$id::$dir/home/$name:/bin/bash" >>"$dir/etc/passwd"
    echo "$name:x:$id:" >>"$dir/etc/group"
    mkdir -p "$dir/home/$name"
    chown "$id:$id" "$dir/home/$name"
  done
}

write_name_service() {
  local host
  {
    echo "127.0.0.1 localhost"
    for host in ctl $(compute_nodes); do
      echo "$(address "$host") $host"
    done
  } >"$dir/etc/hosts"
  printf '%s: files\n' passwd group shadow hosts >"$dir/etc/nsswitch.conf"
  : >"$dir/etc/resolv.conf"
}

write_munge_key() {
  [ -s "$dir/etc/munge.key" ] || head -c 128 /dev/urandom >"$dir/etc/munge.key"
  chmod 400 "$dir/etc/munge.key"
}

# Many ranks share a core here: they must yield, and the first rank of each node must not be bound to core 0. Debian's file
# lacks its last newline.
write_openmpi_parameters() {
  {
    cat /etc/openmpi/openmpi-mca-params.conf
    printf '\nmpi_yield_when_idle = 1\nhwloc_base_binding_policy = none\n'
    printf '%s = %s.0/24\n' btl_tcp_if_include "$network" oob_tcp_if_include "$network"
  } >"$dir/etc/openmpi-mca-params.conf"
}

# They must be devices: with plain files Slurm does not set CUDA_VISIBLE_DEVICES.
make_gpu_devices() {
  local i device
  for ((i = 0; i < gpus; i++)); do
    device=$dir/dev/nvidia$i
    [ -e "$device" ] || mknod -m 666 "$device" c 195 "$i" 2>/dev/null || ln -s /dev/zero "$device"
  done
}

slurm_conf() {
  local host gres=
  [ "$gpus" = 0 ] || gres="Gres=gpu:$gpu_type:$gpus"
  cat <<CONF
ClusterName=$cluster_name
SlurmctldHost=ctl($(address ctl))
SlurmUser=slurm
AuthType=auth/munge
# A requeued job waits until its old credential has expired: 121 s unless told otherwise.
AuthInfo=cred_expire=5
CredType=cred/munge
SlurmctldPort=6817
SlurmdPort=6818
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/hosts/%n/spool
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=$dir/hosts/ctl/log/slurmctld.log
SlurmdLogFile=$dir/hosts/%n/log/slurmd.log
SlurmctldDebug=info
SlurmdDebug=info
# Nodes claim more than the machine has.
SlurmdParameters=config_overrides
PropagateResourceLimitsExcept=MEMLOCK,NOFILE
MpiDefault=pmix
SwitchType=switch/none
PrologFlags=Alloc

# Short, so that a dead node is seen as down within half a minute.
SlurmdTimeout=$slurmd_timeout_s
SlurmctldTimeout=10
MessageTimeout=5
TCPTimeout=2
BatchStartTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=300
WaitTime=0
OverTimeLimit=0
UnkillableStepTimeout=60
# With 2, slurmctld does not look whether a node was rebooted under its jobs.
ReturnToService=1
JobRequeue=1

SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_min_interval=100000,sched_interval=2,bf_interval=2,bf_window=1440
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
PreemptType=preempt/qos
PreemptMode=REQUEUE
PreemptExemptTime=00:00:00
SlurmctldParameters=preempt_send_user_signal
PriorityType=priority/multifactor
PriorityDecayHalfLife=7-0
PriorityCalcPeriod=1
PriorityWeightAge=1000
PriorityWeightFairshare=100000
PriorityWeightQOS=10000
PriorityWeightTRES=CPU=10,GRES/gpu=1000

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=ctl
AccountingStoragePort=6819
AccountingStorageTRES=gres/gpu,gres/gpu:$gpu_type
AccountingStorageEnforce=associations,limits,qos,safe
AccountingStoreFlags=job_comment,job_script,job_env
GresTypes=gpu
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=task=1,energy=1
AcctGatherEnergyType=acct_gather_energy/pm_counters
# With 1, slurmctld's polls for energy starve its pings: a dead node is not seen as down for minutes.
AcctGatherNodeFreq=0

NodeName=DEFAULT CPUs=$cpus RealMemory=$memory_mib TmpDisk=0 $gres State=UNKNOWN
$(for host in $(compute_nodes); do echo "NodeName=$host NodeAddr=$(address "$host")"; done)
PartitionName=DEFAULT Nodes=ALL MaxTime=7-0 DefaultTime=10 State=UP TRESBillingWeights="CPU=1.0,Mem=0.25G,GRES/gpu=16.0"
PartitionName=batch Default=YES PriorityTier=10 GraceTime=5
PartitionName=debug PriorityTier=20 MaxTime=30
CONF
  [ -z "$extra_conf" ] || cat "$extra_conf"
}

gres_conf() {
  echo "AutoDetect=off"
  [ "$gpus" = 0 ] ||
    echo "NodeName=node[1-$nodes] Name=gpu Type=$gpu_type File=$dir/dev/nvidia[0-$((gpus - 1))]"
}

slurmdbd_conf() {
  cat <<CONF
AuthType=auth/munge
DbdHost=ctl
DbdPort=6819
SlurmUser=slurm
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$dir/hosts/ctl/log/slurmdbd.log
PidFile=/run/slurmdbd.pid
DebugLevel=info
CONF
}
