mkdir -p /var/log/nginx /var/lib/nginx /tmp/www
for i in 1 2 3 4 5 6 7 8 9; do head -c ${i}000 /dev/zero >/tmp/www/$i.html; done
cat >/tmp/nginx.conf <<'C'
user www-data;
worker_processes 2;
pid /tmp/nginx.pid;
error_log /tmp/nginx.err;
events { worker_connections 64; }
http { access_log off; server { listen 127.0.0.1:8080; root /tmp/www; } }
C
nginx -t -c /tmp/nginx.conf
nginx -c /tmp/nginx.conf
# no HTTP client is in the image: perl's sockets
cat >/tmp/get.pl <<'C'
use strict; use Socket;
my $sum = 0;
for my $i (1 .. 300) {
	socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
	connect($s, sockaddr_in(8080, INADDR_LOOPBACK)) or die $!;
	my $n = 1 + $i % 9;
	syswrite($s, "GET /$n.html HTTP/1.0\r\nHost: x\r\n\r\n");
	while (sysread($s, my $buffer, 65536)) { $sum += length $buffer }
	close $s;
}
print "$sum bytes\n";
C
for round in 1 2 3; do
	perl /tmp/get.pl
	nginx -s reload -c /tmp/nginx.conf
	sleep 1
done
nginx -s quit -c /tmp/nginx.conf
sleep 0.5
