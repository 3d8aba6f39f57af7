"""Programs that run in bare nodes to measure the network between them.

The last line that each program prints is JSON.
"""

TCP_SINK = """
# Receives on one connection, and counts its bytes for SECONDS after a warm-up of WARM_UP seconds.
import json, socket, sys, time
port, warm_up, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
listener = socket.create_server(("", port))
print("ready", flush=True)
connection, _ = listener.accept()
buffer = bytearray(1 << 20)
connection.recv_into(buffer)
segment = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
ends = time.monotonic() + warm_up
while time.monotonic() < ends:
    connection.recv_into(buffer)
began, count = time.monotonic(), 0
ends = began + seconds
while (now := time.monotonic()) < ends:
    count += connection.recv_into(buffer)
print(json.dumps({"bytes": count, "seconds": time.monotonic() - began, "segment": segment}))
"""

TCP_SOURCE = """
# Sends to HOST PORT at full speed until the receiver closes the connection.
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
data = bytes(1 << 16)
try:
    while True:
        connection.sendall(data)
except (BrokenPipeError, ConnectionResetError):
    print('{}')
"""

UDP_SINK = """
# Counts packets until one of them is "over".
import json, pathlib, socket, sys
def overflowed():
    names, values = [line.split() for line in pathlib.Path("/proc/net/snmp").read_text().splitlines()
                     if line.startswith("Udp:")]
    return int(values[names.index("RcvbufErrors")])
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("", int(sys.argv[1])))
sink.settimeout(20)
before, seen = overflowed(), 0
print("ready", flush=True)
while (data := sink.recv(2048))[:4] != b"over":
    seen += 1
print(json.dumps({"passed": seen + overflowed() - before}))
"""

UDP_SOURCE = """
# Sends COUNT packets to HOST PORT, 5,000 a second, then "over" often enough.
import socket, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began = time.monotonic()
for number in range(count):
    source.sendto(b"%8d" % number + bytes(92), (host, port))
    if number % 10 == 9:
        time.sleep(max(0, began + number / 5000 - time.monotonic()))
time.sleep(0.3)
for _ in range(50):
    source.sendto(b"over", (host, port))
    time.sleep(0.01)
print('{}')
"""

EVERYBODY = """
# Sends COUNT packets to every other node and tries to connect to each by TCP; prints how many arrived from whom.
# Begins at the line "go" on standard input, and receives until the line "end": others may still be sending.
import json, pathlib, select, socket, sys, threading, time
me, count, nodes = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
others = {name: address for name, address in nodes.items() if name != me}
names = {address: name for name, address in nodes.items()}
UDP, TCP, CONNECT_TIMEOUT = 7001, 7002, 0.8
def icmp():
    fields, values = [line.split() for line in pathlib.Path("/proc/net/snmp").read_text().splitlines()
                      if line.startswith("Icmp:")]
    return int(values[fields.index("InMsgs")])
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("", UDP))
listener = socket.create_server(("", TCP))
before = icmp()
print("ready", flush=True)
assert sys.stdin.readline().strip() == "go"
arrived, over = dict.fromkeys(others, 0), threading.Event()
def receive():
    sink.settimeout(0.1)
    while not over.is_set():
        try:
            _, (host, _) = sink.recvfrom(2048)
        except TimeoutError:
            continue
        arrived[names[host]] += 1
receiver = threading.Thread(target=receive)
receiver.start()
sent, reached = dict.fromkeys(others, 0), {}
def reach(name, address):
    source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    source.connect((address, UDP))
    for number in range(count):
        source.send(b"x" * 100)       # an ICMP error that came back would be raised here
        sent[name] += 1
        if number % 10 == 9:
            time.sleep(0.005)
    try:
        socket.create_connection((address, TCP), timeout=CONNECT_TIMEOUT).close()
        reached[name] = "yes"
    except OSError as error:
        reached[name] = "silence" if isinstance(error, TimeoutError) else str(error)
threads = [threading.Thread(target=reach, args=item) for item in others.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done", flush=True)
sys.stdin.readline()
over.set()
receiver.join()
print(json.dumps({"sent": sent, "arrived": arrived, "reached": reached, "icmp": icmp() - before}))
"""

ECHO = """
# Returns every packet to its sender, until one of them is "over".
import socket, sys
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, sender = echo.recvfrom(2048)
    if data == b"over":
        break
    echo.sendto(data, sender)
print('{}')
"""

PING = """
# Prints the shortest and the median round-trip time of COUNT packets to HOST PORT, in seconds. No packet may be lost.
import json, socket, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ping.connect((host, port))
ping.settimeout(5)
times = []
for _ in range(count):
    began = time.perf_counter()
    ping.send(b"x" * 100)
    ping.recv(2048)
    times.append(time.perf_counter() - began)
ping.send(b"over")
times.sort()
print(json.dumps({"least": times[0], "middle": times[len(times) // 2]}))
"""
