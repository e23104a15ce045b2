bin=/usr/lib/postgresql/15/bin
mkdir -p /tmp/pg /var/run/postgresql
chown postgres:postgres /tmp/pg /var/run/postgresql
su postgres -s /bin/sh -c "$bin/initdb -D /tmp/pg/data -A trust >/dev/null"
su postgres -s /bin/sh -c "$bin/pg_ctl -w -D /tmp/pg/data -o '-c shared_buffers=16MB -c listen_addresses=' -l /tmp/pg/log start" >/dev/null
su postgres -s /bin/sh -c "$bin/createdb bench && $bin/pgbench -i -s 2 -q bench 2>/dev/null"
for round in 1 2 3; do
	su postgres -s /bin/sh -c "$bin/pgbench -c 4 -t 500 bench 2>/dev/null" | tail -1
	su postgres -s /bin/sh -c "psql -qAt bench -c 'select count(*), sum(abalance) from pgbench_accounts'"
	su postgres -s /bin/sh -c "$bin/pg_dump bench | tail -1"
	sleep 1
done
su postgres -s /bin/sh -c "$bin/pg_ctl -w -D /tmp/pg/data -m fast stop" >/dev/null
