"""Common things of the tracker and the peer: addresses, messages and printing."""

import json


def parse_address(text):
    ip, port = text.rsplit(":", 1)
    return ip, int(port)


def encode(message):
    return json.dumps(message).encode()


def decode(data):
    return json.loads(data.decode())


def say(text):
    print(text, flush=True)
