# SPDX-License-Identifier: Apache-2.0
"""Proves im1.py: `prove.py vectors FILE` by the golden vectors, `prove.py talk ...` by a login, a message and its answer, `prove.py heads ...`
by what a login and a PONG say of the inbox and the broadcasts.

Last line: JSON. Exit 1 when something differs.
"""

import argparse
import json
import sys
import uuid

import im1


def plain(value):
    """As the vectors write it: bytes as hex."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def from_plain(value):
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if set(value) == {"hex"} else {k: from_plain(v) for k, v in value.items()}
    return [from_plain(one) for one in value] if isinstance(value, list) else value


def holds(expected, actual):
    """Everything the vector names is there; what it does not name has its default."""
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(holds, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict) and set(expected) != {"hex"}:
        rest = [value for name, value in actual.items() if name not in expected]
        return all(holds(value, actual[name]) for name, value in expected.items()) and not any(map(is_set, rest))
    return expected == actual


def is_set(value):
    return value not in (0, "", False, None, [], {"hex": ""})


def read_one(data):
    """The envelope of one frame, fed byte by byte."""
    reader = im1.FrameReader()
    frames = [frame for byte in data for frame in reader.push(bytes([byte]))]
    return frames[0] if len(frames) == 1 and not reader.pending else None


def vectors(path):
    with open(path, encoding="utf-8") as file:
        golden = json.load(file)
    failures = []
    for vector in golden["frames"] + golden["decodeOnly"]:
        frame = read_one(bytes.fromhex(vector["frame"]))
        fields = ("cmd", "rid", "flags")
        if frame is None or frame["body"].hex() != vector["body"] or any(frame[f] != vector[f] for f in fields):
            failures.append(f"decode frame: {vector['name']}")
    for vector in golden["frames"]:
        made = im1.encode_frame(vector["cmd"], vector["rid"], vector["flags"], bytes.fromhex(vector["body"]))
        if made.hex() != vector["frame"]:
            failures.append(f"encode frame: {vector['name']}")
    for vector in golden["invalid"]:
        try:
            im1.FrameReader().push(bytes.fromhex(vector["bytes"]))
            failures.append(f"accepted: {vector['name']}")
        except im1.WireError as error:
            if error.code != vector["code"]:
                failures.append(f"code {error.code}: {vector['name']}")
    for vector in golden["bodies"]:
        decoded = im1.decode(vector["message"], bytes.fromhex(vector["hex"]))
        if not holds(vector["fields"], plain(decoded)):
            failures.append(f"decode {vector['message']}: {plain(decoded)}")
        if im1.encode(vector["message"], from_plain(vector["fields"])).hex() != vector["hex"]:
            failures.append(f"encode {vector['message']}: {vector['fields']}")
    return {"vectors": sum(map(len, golden.values())), "failures": failures}


def talk(options):
    """Two users say hello to each other, and one says the same thing twice."""
    def enter(token, device):
        client = im1.Client(options.host, options.port, options.server_name, options.ca)
        return client, client.login(token, device)

    alice, alice_welcome = enter(options.tokens[0], "python-a")
    bob, bob_welcome = enter(options.tokens[1], "python-b")
    ids = [str(uuid.uuid4()), str(uuid.uuid4())]
    first = alice.send(bob_welcome["userId"], "你好 from Python 👋🏽", ids[0])
    again = alice.send(bob_welcome["userId"], "你好 from Python 👋🏽", ids[0])
    heard = bob.receive()
    bob.send(alice_welcome["userId"], "hello back", ids[1])
    answer = alice.receive()
    failures = []
    if not again["duplicate"] or again["messageId"] != first["messageId"]:
        failures.append("a resend is another message")
    if (heard["messageId"], heard["content"].decode()) != (first["messageId"], "你好 from Python 👋🏽"):
        failures.append(f"bob got {plain(heard)}")
    if (answer["clientMessageId"], answer["content"].decode()) != (ids[1], "hello back"):
        failures.append(f"alice got {plain(answer)}")
    for client in (alice, bob):
        client.close()
    return {"sent": 2, "received": 2, "entry": alice_welcome["entryId"], "failures": failures}


def heads(options):
    """Both heads, as WELCOME and PONG say them."""
    client = im1.Client(options.host, options.port, options.server_name, options.ca)
    welcome, pong = client.login(options.token, "python-h"), client.ping()
    client.close()
    said = {name: [one[name] for one in (welcome, pong)] for name in ("inboxHead", "sysHead")}
    failures = [f"{name}: WELCOME {first}, PONG {second}" for name, (first, second) in said.items() if first != second]
    return {"inboxHead": pong["inboxHead"], "sysHead": pong["sysHead"], "failures": failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("vectors").add_argument("file")
    live, quiet = commands.add_parser("talk"), commands.add_parser("heads")
    for parts in (live, quiet):
        parts.add_argument("--host", required=True)
        parts.add_argument("--port", type=int, default=443)
        parts.add_argument("--server-name", required=True)
        parts.add_argument("--ca", required=True, help="a PEM file")
    quiet.add_argument("--token", required=True)
    live.add_argument("--tokens", nargs=2, required=True, help="of two users who have never received anything")
    options = parser.parse_args()
    result = {"vectors": lambda: vectors(options.file), "talk": lambda: talk(options), "heads": lambda: heads(options)}[
        options.command
    ]()
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(1 if result["failures"] else 0)


main()
