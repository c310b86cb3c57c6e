# SPDX-License-Identifier: Apache-2.0
"""The client wire of ImCluster (docs/protocol.md) in plain Python: frames, bodies, and a client over TLS.

It shares no code with the servers and the SDK: it reads the schema itself, so that the document, the schema and the
bytes on the wire are proven to say the same. A place to begin for a client in another language; for Node and browsers
use the SDK in client/.
"""

import re
import socket
import ssl
import time
from pathlib import Path

SCHEMA_FOLDER = Path(__file__).resolve().parents[2] / "proto/im/client/v1"
MAX_FRAME_BYTES = 256 * 1024
REPLY, ERROR = 1, 2
HELLO, WELCOME, PING, PONG, GOAWAY, KICK, ERROR_CMD = 1, 2, 3, 4, 6, 7, 9
SEND, SEND_ACK, PUSH, PUSH_ACK = 16, 17, 18, 19
BAD_FRAME, FRAME_TOO_LARGE = 4500, 4501
MASK_64 = (1 << 64) - 1


class WireError(Exception):
    """Bytes that no peer may accept, or an answer that is an error; `code` is the one of docs/protocol.md."""

    def __init__(self, code, reason):
        super().__init__(f"{code}: {reason}")
        self.code = code


# --- schema: {message: {number: (name, type, is_repeated)}} ---


def camel(name):
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def load_schema(folder=SCHEMA_FOLDER):
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.proto")))
    text = re.sub(r"//.*", "", text)
    schema = {}
    for name, body in re.findall(r"message\s+(\w+)\s*\{([^}]*)\}", text):
        fields = re.findall(r"(repeated\s+)?(\w+)\s+(\w+)\s*=\s*(\d+)\s*;", body)
        schema[name] = {int(number): (camel(field), kind, bool(many)) for many, kind, field, number in fields}
    return schema


SCHEMA = load_schema()
VARINTS = {"uint32": 32, "uint64": 64, "int64": 64, "bool": 64}


# --- values ---


def write_varint(value):
    value &= MASK_64
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at, max_bytes=10):
    value = 0
    for index in range(max_bytes):
        if at + index >= len(data):
            raise WireError(BAD_FRAME, "a number is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & MASK_64, at + index + 1
    raise WireError(BAD_FRAME, "a number does not end")


def read_field(data, at):
    """(number, wire type, value or bytes, position after it)"""
    tag, at = read_varint(data, at)
    number, wire_type = tag >> 3, tag & 7
    if number == 0:
        raise WireError(BAD_FRAME, "field number 0")
    if wire_type == 0:
        value, at = read_varint(data, at)
        return number, wire_type, value, at
    if wire_type == 2:
        length, at = read_varint(data, at)
    elif wire_type in (1, 5):
        length = 8 if wire_type == 1 else 4
    else:
        raise WireError(BAD_FRAME, f"wire type {wire_type}")
    if at + length > len(data):
        raise WireError(BAD_FRAME, "a field is longer than its message")
    return number, wire_type, bytes(data[at : at + length]), at + length


def default_of(kind, is_repeated):
    if is_repeated:
        return []
    return {"string": "", "bytes": b"", "bool": False}.get(kind, 0 if kind in VARINTS else None)


def from_wire(kind, value):
    if kind == "bool":
        return value != 0
    if kind == "int64":
        return value - (1 << 64) if value >> 63 else value
    if kind in VARINTS:
        return value & ((1 << VARINTS[kind]) - 1)
    if kind == "bytes":
        return value
    return value.decode("utf-8") if kind == "string" else decode(kind, value)


def decode(message, data):
    """The fields of a message by name; absent ones have their default, unknown ones are ignored."""
    schema = SCHEMA[message]
    fields = {name: default_of(kind, many) for name, kind, many in schema.values()}
    at = 0
    while at < len(data):
        number, wire_type, value, at = read_field(data, at)
        name, kind, many = schema.get(number, ("", "", False))
        if not name or (wire_type == 0) != (kind in VARINTS) or wire_type not in (0, 2):
            continue
        value = from_wire(kind, value)
        if many:
            fields[name].append(value)
        else:
            fields[name] = value
    return fields


def encode(message, fields):
    """In the order of the field numbers, without defaults, as protobuf libraries write it."""
    out = bytearray()
    for number, (name, kind, many) in sorted(SCHEMA[message].items()):
        value = fields.get(name)
        for one in (value or []) if many else [value]:
            if one is None or (not many and one == default_of(kind, False)):
                continue
            if kind in VARINTS:
                out += write_varint(number << 3) + write_varint(int(one))
                continue
            data = one if kind == "bytes" else one.encode() if kind == "string" else encode(kind, one)
            out += write_varint(number << 3 | 2) + write_varint(len(data)) + data
    return bytes(out)


# --- frames ---


def encode_frame(cmd, rid=0, flags=0, body=b""):
    envelope = encode("Envelope", {"cmd": cmd, "rid": rid, "flags": flags, "body": body})
    return write_varint(len(envelope)) + envelope


class FrameReader:
    """Cuts a stream of bytes, in whatever pieces it comes, into envelopes."""

    def __init__(self):
        self.pending = b""

    def push(self, data):
        self.pending += data
        frames = []
        while (length_end := self._length()) is not None:
            length, start = length_end
            if len(self.pending) < start + length:
                break
            frames.append(decode("Envelope", self.pending[start : start + length]))
            self.pending = self.pending[start + length :]
        return frames

    def _length(self):
        head = self.pending[:4]
        if all(byte >= 0x80 for byte in head):
            if len(head) == 4:
                raise WireError(BAD_FRAME, "the length of a frame has more than 4 bytes")
            return None
        length, start = read_varint(head, 0, 4)
        if length == 0:
            raise WireError(BAD_FRAME, "an empty frame")
        if length > MAX_FRAME_BYTES:
            raise WireError(FRAME_TOO_LARGE, f"a frame of {length} bytes")
        return length, start


# --- client ---


class Client:
    """One login over raw TCP and TLS. Blocking, one thread, no reconnect: a demonstration of the protocol."""

    def __init__(self, host, port, server_name, ca_file=None, timeout_s=10):
        context = ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols(["im/1"])
        plain = socket.create_connection((host, port), timeout=timeout_s)
        self.socket = context.wrap_socket(plain, server_hostname=server_name)
        self.timeout_s = timeout_s
        self.reader = FrameReader()
        self.frames = []
        self.events = []
        self.last_rid = 0
        self.cursor = 0

    def login(self, token, device_id, platform="desktop", cursor=0, epoch=""):
        hello = {"protoMin": 1, "protoMax": 1, "deviceId": device_id, "platform": platform, "token": token}
        hello |= {"inboxCursor": cursor, "inboxEpoch": epoch, "clientTimeMs": int(time.time() * 1000)}
        welcome = decode("Welcome", self.ask(HELLO, encode("Hello", hello)))
        self.cursor = cursor
        self._apply((welcome["firstPage"] or {}).get("events", []))
        return welcome

    def ping(self):
        """Says that the connection is alive; the answer has the heads of the inbox and of the broadcasts."""
        return decode("Pong", self.ask(PING, b""))

    def send(self, to, text, client_message_id):
        """Returns when the message is stored. The same id again is the same message."""
        body = encode("Send", {"to": to, "clientMessageId": client_message_id, "content": text.encode()})
        ack = decode("SendAck", self.ask(SEND, body))
        if ack["inboxSeq"] == self.cursor + 1:
            self.cursor += 1
        return ack

    def receive(self):
        """The next event in the order of the inbox, acknowledged when it is handed out."""
        while not self.events:
            self._handle(self._next_frame())
        event = self.events.pop(0)
        self._write(PUSH_ACK, 0, encode("PushAck", {"inboxSeq": event["inboxSeq"]}))
        return event

    def ask(self, cmd, body):
        self.last_rid += 1
        self._write(cmd, self.last_rid, body)
        while True:
            frame = self._next_frame()
            if not frame["flags"] & REPLY or frame["rid"] != self.last_rid:
                self._handle(frame)
            elif frame["flags"] & ERROR:
                error = decode("ErrorInfo", frame["body"])
                raise WireError(error["code"], error["reason"])
            else:
                return frame["body"]

    def close(self):
        self.socket.close()

    def _handle(self, frame):
        if frame["cmd"] == PUSH:
            self._apply(decode("Push", frame["body"])["events"])
        elif frame["cmd"] == KICK:
            kick = decode("Kick", frame["body"])
            raise WireError(kick["code"], kick["reason"])
        elif frame["cmd"] == ERROR_CMD:
            error = decode("ErrorInfo", frame["body"])
            raise WireError(error["code"], error["reason"])

    def _apply(self, events):
        # Only cursor + 1: what is there already is a repetition, what lies further on comes again after a pull.
        for event in events:
            if event["inboxSeq"] == self.cursor + 1:
                self.cursor += 1
                self.events.append(event)

    def _write(self, cmd, rid, body):
        self.socket.sendall(encode_frame(cmd, rid, 0, body))

    def _next_frame(self):
        deadline = time.monotonic() + self.timeout_s
        while not self.frames:
            if time.monotonic() > deadline:
                raise TimeoutError("no frame came in time")
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the entry closed the connection")
            self.frames += self.reader.push(data)
        return self.frames.pop(0)
