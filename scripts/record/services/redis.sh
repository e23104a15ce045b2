mkdir -p /var/lib/redis /tmp/redis
cd /tmp/redis
redis-server --port 6379 --save '' --daemonize yes --logfile /tmp/redis/log --dir /tmp/redis
for i in 1 2 3 4 5 6 7 8 9 10; do redis-cli ping >/dev/null 2>&1 && break; sleep 0.2; done
for round in 1 2 3; do
	redis-benchmark -q -n 1000 -c 10 -t set,get,incr,lpush,lrange_100,zadd,hset,mset >/dev/null
	redis-cli eval 'for i=1,2000 do redis.call("set","k"..i,string.rep("x",i%100)) end return redis.call("dbsize")' 0
	redis-cli info memory | head -2
	redis-cli save
	redis-check-rdb /tmp/redis/dump.rdb | tail -1
	sleep 1
done
redis-cli shutdown nosave || true
