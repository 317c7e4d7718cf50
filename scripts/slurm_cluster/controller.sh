# The controller's database and daemons, and what a new database holds: accounts, users and QOS of a small research group.
# Runs inside ctl. Sourced by scripts/slurm-cluster.

# Starts whatever does not run, in the order in which one needs the other.
start_controller() {
  local log=$dir/hosts/ctl/log
  if [ ! -e "$dir/db/complete" ]; then
    find "$dir/db" -mindepth 1 -delete
    mariadb-install-db --no-defaults "${database_options[@]}" --skip-test-db \
      --auth-root-authentication-method=socket >"$log/mariadb-install-db.log" 2>&1 ||
      fail "mariadb-install-db failed; see $log/mariadb-install-db.log"
    touch "$dir/db/complete"
  fi
  start_and_await_daemon ctl munged
  start_and_await_daemon ctl mariadbd
  mariadb --no-defaults --socket=/run/mysqld/mysqld.sock -e "
    CREATE DATABASE IF NOT EXISTS slurm_acct_db;
    CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct_db.* TO slurm@localhost;" || fail "MariaDB refuses; see $log/mariadbd.log"
  start_and_await_daemon ctl slurmdbd
  has_accounts || add_accounts
  start_and_await_daemon ctl slurmctld
}

# The user that is added last.
has_accounts() {
  [ "$(sacctmgr -n -P show assoc where cluster="$cluster_name" user=dave format=account 2>/dev/null)" = lab ]
}

add_accounts() {
  local log=$dir/hosts/ctl/log/accounts.log
  # One session of sacctmgr does not know the QOS that it has made itself. What is there already is no error.
  {
    sacctmgr -i <<END || true
add cluster $cluster_name
add qos low Priority=10 GraceTime=5 PreemptMode=requeue
add qos high Priority=1000
END
    sacctmgr -i <<END || true
modify qos normal set Priority=100 Preempt=low
modify qos high set Preempt=low
add account lab Description=lab Organization=lab
add account proja parent=lab Fairshare=60
add account projb parent=lab Fairshare=40
modify account lab set qos=normal,low,high
add user root account=lab
add user alice account=proja
add user bob account=proja
add user carol account=projb
add user dave account=lab AdminLevel=Operator
END
  } >"$log" 2>&1
  has_accounts || fail "users and accounts could not be added; see $log"
}
