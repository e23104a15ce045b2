export PYTHONDONTWRITEBYTECODE=1
cat >/tmp/serve.py <<'C'
import http.server, threading, urllib.request, json, sqlite3, zlib, hashlib, xml.etree.ElementTree as et, email, csv, decimal, asyncio, logging
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({'path': self.path, 'sum': sum(range(1000))}).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), H); threading.Thread(target=s.serve_forever, daemon=True).start()
n = 0
for i in range(300): n += len(urllib.request.urlopen('http://127.0.0.1:%d/%d' % (s.server_port, i)).read())
d = sqlite3.connect(':memory:'); d.execute('create table t(a, b)'); d.executemany('insert into t values(?, ?)', ((i, hashlib.sha256(b'%d' % i).hexdigest()) for i in range(5000)))
print(n, d.execute('select count(distinct b) from t').fetchone(), len(zlib.compress(b'x' * 100000)), et.fromstring('<a><b/></a>').tag)
C
python3 /tmp/serve.py
for round in 1 2 3 4 5 6 7 8; do
	python3 -c 'import unittest, argparse, ctypes, multiprocessing, difflib, tarfile, ssl; print(ssl.OPENSSL_VERSION)'
	python3 -m compileall -q -d x -f /usr/lib/python3.11/json >/dev/null 2>&1 || true
	python3 /tmp/serve.py
	sleep 0.5
done
