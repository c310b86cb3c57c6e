# SPDX-License-Identifier: Apache-2.0
"""WebSocket clients that share no code with ours, websockets and autobahn, against the TLS port of an entry.

Each line: a check as JSON, {"name", "fault"}; without a fault it is as it should be. The last line: {"done": checks}.
"""

import argparse
import asyncio
import json
import pathlib
import ssl
import sys
import uuid

import websockets
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer
from websockets.asyncio.client import connect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"))
import im1  # noqa: E402

SUBPROTOCOL = "im.v1"
BAD_FRAME = 4500
MAX_MESSAGE_BYTES = 256 * 1024 + 4
WAIT_S = 10
CHECKS = []


def check(name):
    def register(function):
        CHECKS.append((name, function))
        return function

    return register


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what} is {actual!r}, not {expected!r}")


def hello(token, device):
    fields = {"protoMin": 1, "protoMax": 1, "deviceId": device, "platform": "web", "token": token}
    return im1.encode_frame(im1.HELLO, 1, 0, im1.encode("Hello", fields))


def frames_of(message):
    return im1.FrameReader().push(message)


def send_frame(rid, text):
    fields = {"to": "somebody", "clientMessageId": str(uuid.uuid4()), "content": text.encode()}
    return im1.encode_frame(im1.SEND, rid, 0, im1.encode("Send", fields))


# --- websockets ---


class Blocking:
    """A connection of the package websockets, for checks that wait for each step.

    On asyncio and one thread. The package's blocking client reads in a thread of its own while another one writes, and Python's
    ssl does not stand that: 1 of 80 handshakes hung, and closes were told as timeouts (ssl.c, PySSL_select); on asyncio 0 of 640.
    """

    def __init__(self, url, **options):
        self.loop = asyncio.new_event_loop()
        try:
            self.ws = self.run(self.dial(url, options))
        except BaseException:
            self.loop.close()
            raise

    @staticmethod
    async def dial(url, options):
        return await connect(url, open_timeout=WAIT_S, close_timeout=WAIT_S, **options)

    def run(self, step):
        return self.loop.run_until_complete(asyncio.wait_for(step, 2 * WAIT_S))

    def send(self, message):
        self.run(self.ws.send(message))

    def recv(self):
        return self.run(asyncio.wait_for(self.ws.recv(), WAIT_S))

    def ping(self, payload):
        """True when the pong came in time."""
        return self.run(self.is_answered(payload))

    async def is_answered(self, payload):
        try:
            await asyncio.wait_for(await self.ws.ping(payload), WAIT_S)
            return True
        except TimeoutError:
            return False

    def pong(self, payload):
        self.run(self.ws.pong(payload))

    def close(self, code=1000, reason=""):
        """The code that the other side answered with."""
        if not self.loop.is_closed():
            self.run(self.ws.close(code, reason))
            self.loop.close()
        return self.ws.close_code


class Session:
    """A connection that can log in; `with` closes it."""

    def __init__(self, options, **more):
        trust = ssl.create_default_context(cafile=options.ca)
        more = {"subprotocols": [SUBPROTOCOL], **more}
        self.options = options
        self.ws = Blocking(options.url, ssl=trust, server_hostname=options.server_name, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.close()

    def login(self, user=0):
        self.ws.send(hello(self.options.tokens[user], f"websockets-{user}"))
        return self.answer(1, "Welcome")

    def answer(self, rid, message):
        """The answer to `rid`, whatever comes before it."""
        for _ in range(100):
            for frame in frames_of(self.ws.recv()):
                if frame["rid"] == rid and frame["flags"] & im1.REPLY:
                    expect("the error flag", frame["flags"] & im1.ERROR, 0)
                    return im1.decode(message, frame["body"])
        raise AssertionError(f"no answer to {rid}")

    def close_code(self):
        """The code of the close frame that the entry sends."""
        try:
            for _ in range(100):
                self.ws.recv()
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
        raise AssertionError("it stays open")


def refused(options, **more):
    try:
        Session(options, **more).ws.close()
    except websockets.InvalidStatus as error:
        return error.response.status_code
    return 101


@check("websockets: the subprotocol is agreed, no extension is, though compression was offered")
def _(options):
    with Session(options, compression="deflate") as session:
        expect("the subprotocol", session.ws.ws.subprotocol, SUBPROTOCOL)
        expect("Sec-WebSocket-Extensions", session.ws.ws.response.headers.get("Sec-WebSocket-Extensions"), None)
        expect("Server", session.ws.ws.response.headers.get("Server"), None)


@check("websockets: a subprotocol that nobody knows is not agreed")
def _(options):
    with Session(options, subprotocols=["chat", "mqtt"]) as session:
        expect("the subprotocol", session.ws.ws.subprotocol, None)


@check("websockets: a login and a message, and the answer that it is stored")
def _(options):
    with Session(options) as session:
        welcome = session.login()
        if not welcome["userId"]:
            raise AssertionError("WELCOME without a user")
        session.ws.send(send_frame(2, "hello from websockets"))
        if not session.answer(2, "SendAck")["messageId"]:
            raise AssertionError("SEND_ACK without a message id")


@check("websockets: two frames in one message are two requests")
def _(options):
    with Session(options) as session:
        session.login()
        session.ws.send(send_frame(2, "one") + send_frame(3, "two"))
        session.answer(3, "SendAck")


@check("websockets: pings are answered with their payload, before and after the login")
def _(options):
    with Session(options) as session:
        for payload in (b"", b"before", b"x" * 125):
            if not session.ws.ping(payload):
                raise AssertionError(f"no pong to {payload!r}")
        session.login()
        if not session.ws.ping(b"after"):
            raise AssertionError("no pong after the login")


@check("websockets: pongs that nobody asked for change nothing")
def _(options):
    with Session(options) as session:
        session.login()
        session.ws.pong(b"unasked")
        session.ws.send(send_frame(2, "still here"))
        session.answer(2, "SendAck")


@check("websockets: a message in 16 fragments is read as one")
def _(options):
    with Session(options) as session:
        login = hello(options.tokens[0], "websockets-0")
        parts = [login[at : at + len(login) // 14] for at in range(0, len(login), len(login) // 14)][:16]
        expect("the fragments' bytes", b"".join(parts), login)
        session.ws.send(parts)
        session.answer(1, "Welcome")


@check("websockets: a message in 17 fragments is closed with 1008")
def _(options):
    with Session(options) as session:
        session.login()
        try:
            session.ws.send([b"\x02"] + [b""] * 16)
        except websockets.ConnectionClosed:
            pass
        expect("the close code", session.close_code(), 1008)


@check("websockets: a text message is closed with the code for bad frames")
def _(options):
    with Session(options) as session:
        session.login()
        session.ws.send("text")
        expect("the close code", session.close_code(), BAD_FRAME)


@check("websockets: a message above the limit is closed with 1009")
def _(options):
    with Session(options) as session:
        session.login()
        try:
            session.ws.send(b"\x00" * (MAX_MESSAGE_BYTES + 1))
        except websockets.ConnectionClosed:
            pass
        expect("the close code", session.close_code(), 1009)


@check("websockets: a close is answered with its code")
def _(options):
    for code in (1000, 1001, 3000, 4999):
        session = Session(options)
        session.login()
        expect("the close code", session.ws.close(code, "bye"), code)


@check("websockets: a page of a stranger is refused with 403")
def _(options):
    for origin in ("https://evil.example", "null", f"https://{options.server_name}.evil.example"):
        expect(f"the answer to {origin}", refused(options, origin=origin), 403)


@check("websockets: a certificate of another authority is not believed")
def _(options):
    try:
        Blocking(options.url, server_hostname=options.server_name).close()
    except ssl.SSLError:
        return
    raise AssertionError("it was")


# --- autobahn ---


class Autobahn(WebSocketClientProtocol):
    def __init__(self):
        super().__init__()
        self.opened = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.messages = asyncio.Queue()
        self.pongs = asyncio.Queue()

    def onConnect(self, response):
        self.response = response

    def onOpen(self):
        self.opened.set_result(None)

    def onMessage(self, payload, isBinary):
        self.messages.put_nowait(payload)

    def onPong(self, payload):
        self.pongs.put_nowait(payload)

    def onClose(self, wasClean, code, reason):
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"not opened: {code} {reason}"))
        if not self.ended.done():
            self.ended.set_result((wasClean, code))

    async def answer(self, rid, message):
        for _ in range(100):
            for frame in frames_of(await asyncio.wait_for(self.messages.get(), WAIT_S)):
                if frame["rid"] == rid and frame["flags"] & im1.REPLY:
                    expect("the error flag", frame["flags"] & im1.ERROR, 0)
                    return im1.decode(message, frame["body"])
        raise AssertionError(f"no answer to {rid}")


async def open_autobahn(options, origin=None, fragment_bytes=0):
    factory = WebSocketClientFactory(options.url, origin=origin, protocols=[SUBPROTOCOL])
    factory.protocol = Autobahn
    factory.setProtocolOptions(
        perMessageCompressionOffers=[PerMessageDeflateOffer()],
        perMessageCompressionAccept=lambda response: None,
        autoFragmentSize=fragment_bytes,
        failByDrop=False,
        openHandshakeTimeout=WAIT_S,
        closeHandshakeTimeout=WAIT_S,
    )
    trust = ssl.create_default_context(cafile=options.ca)
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(
        factory, factory.host, factory.port, ssl=trust, server_hostname=options.server_name
    )
    await asyncio.wait_for(protocol.opened, WAIT_S)
    return protocol


async def end(protocol, code, expected=None):
    if code:
        protocol.sendClose(code)
    was_clean, seen = await asyncio.wait_for(protocol.ended, WAIT_S)
    expect("the close code", seen, expected or code)
    expect("a clean close", was_clean, True)


@check("autobahn: the subprotocol is agreed, no extension is, though compression was offered")
async def _(options):
    protocol = await open_autobahn(options)
    expect("the subprotocol", protocol.response.protocol, SUBPROTOCOL)
    expect("the extensions", list(protocol.response.extensions), [])
    await end(protocol, 1000)


@check("autobahn: a login in fragments, with pings in between that are answered first")
async def _(options):
    protocol = await open_autobahn(options)
    login = hello(options.tokens[1], "autobahn")
    size = len(login) // 10
    protocol.beginMessage(isBinary=True)
    for at in range(0, len(login), size):
        protocol.sendMessageFrame(login[at : at + size])
        protocol.sendPing(b"%d" % at)
        expect("the pong", await asyncio.wait_for(protocol.pongs.get(), WAIT_S), b"%d" % at)
    protocol.endMessage()
    await protocol.answer(1, "Welcome")
    await end(protocol, 1000)


@check("autobahn: messages of both directions after the login")
async def _(options):
    protocol = await open_autobahn(options)
    protocol.sendMessage(hello(options.tokens[1], "autobahn"), isBinary=True)
    await protocol.answer(1, "Welcome")
    for rid in range(2, 22):
        protocol.sendMessage(send_frame(rid, f"message {rid}"), isBinary=True)
    await protocol.answer(21, "SendAck")
    await end(protocol, 3000)


@check("autobahn: a text message is closed cleanly with the code for bad frames")
async def _(options):
    protocol = await open_autobahn(options)
    protocol.sendMessage("text".encode(), isBinary=False)
    await end(protocol, None, BAD_FRAME)


@check("autobahn: bytes of no frame are closed cleanly with the code for bad frames")
async def _(options):
    protocol = await open_autobahn(options)
    protocol.sendMessage(b"\xff\xff\xff\xff\xff", isBinary=True)
    await end(protocol, None, BAD_FRAME)


@check("autobahn: a page of a stranger is refused")
async def _(options):
    try:
        await open_autobahn(options, origin="https://evil.example")
    except ConnectionError:
        return
    raise AssertionError("it was let in")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("url", "server-name", "ca"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tokens", nargs=2, required=True, help="of two users")
    options = parser.parse_args()
    for name, function in CHECKS:
        fault = None
        try:
            outcome = function(options)
            if asyncio.iscoroutine(outcome):
                asyncio.run(outcome)
        except Exception as error:  # every fault is a result
            fault = f"{type(error).__name__}: {error}"
        print(json.dumps({"name": name, "fault": fault}), flush=True)
    print(json.dumps({"done": len(CHECKS)}))


main()
