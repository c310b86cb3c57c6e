// SPDX-License-Identifier: Apache-2.0
// The HTTP transport by itself, on a server that fails as networks do.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type HttpPeer, type HttpServer, startHttpServer } from "../../test/http-server.ts";
import { type HttpMode, httpTransport } from "./http.ts";
import type { Socket } from "./transport.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Only a bound: nothing here may take long, but the machine may be busy. */
const BOUND_MS = 60_000;

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + BOUND_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) assert.fail(`${what} did not come true`);
    await sleep(2);
  }
}

let server: HttpServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** A server that greets who says hello, and one socket to it. */
async function setUp(mode: HttpMode) {
  const taken: string[] = [];
  let peer: HttpPeer | undefined;
  server = await startHttpServer((accepted) => {
    peer = accepted;
    return (got) => {
      taken.push(text(got));
      if (text(got) === "hello") accepted.write(bytes("welcome;"));
    };
  });
  const received: string[] = [];
  const closes: string[] = [];
  const { url } = server;
  const dial = (): Socket => {
    const socket = httpTransport(mode)(url, {
      onOpen: () => socket.send(bytes("hello")),
      onData: (data) => received.push(text(data)),
      onClose: (code, reason) => closes.push(`${code} ${reason}`),
    });
    return socket;
  };
  const socket = dial();
  await until(() => received.join("") === "welcome;" || closes.length > 0, "WELCOME");
  return { server, socket, taken, received, closes, peer: () => peer ?? assert.fail("no session") };
}

for (const mode of ["sse", "poll"] as const) {
  describe(`HTTP transport by ${mode}`, () => {
    it("sends one request at a time, with all that waits, in order", async () => {
      const {
        socket,
        taken,
        server: { paths },
      } = await setUp(mode);
      const before = paths.length;
      const parts = Array.from({ length: 100 }, (_, index) => `${index};`);
      for (const part of parts) socket.send(bytes(part));
      await until(() => taken.join("") === `hello${parts.join("")}`, "every part");
      const posts = paths.slice(before).filter((path) => path === "/v1/frames").length;
      assert.ok(posts <= 3, `${posts} requests`);
      socket.close();
    });

    it("cuts what waits where a request would be too large, between frames only", async () => {
      const { socket, taken } = await setUp(mode);
      const sizes = [200_000, 100_000, 156_000, 256_000, 10];
      sizes.forEach((size, index) => {
        socket.send(bytes(String(index).repeat(size)));
      });
      await until(() => taken.slice(1).join("").length === 712_010, "every frame");
      for (const request of taken.slice(1)) assert.ok(request.length <= 256 * 1024, `${request.length} bytes`);
      assert.equal(taken.slice(1).join(""), sizes.map((size, index) => String(index).repeat(size)).join(""));
      socket.close();
    });

    it("sends again what was not taken because the server was busy", async () => {
      const {
        server: { faults },
        socket,
        taken,
      } = await setUp(mode);
      faults.busy = 1;
      socket.send(bytes("one"));
      await until(() => faults.busy === 0, "the refusal");
      socket.send(bytes("two"));
      await until(() => taken.join("") === "helloonetwo", "both");
      socket.close();
    });

    it("passes on the code of the end, and says nothing after it", async () => {
      const { socket, peer, received, closes } = await setUp(mode);
      peer().write(bytes("last"));
      peer().end(4520, "another device");
      await until(() => closes.length > 0, "the end");
      assert.deepEqual([received.join(""), closes], ["welcome;last", ["4520 another device"]]);
      socket.send(bytes("late"));
      socket.close();
    });

    it("is lost when the downlink is cut, or the session gone", async () => {
      const { socket, peer, closes } = await setUp(mode);
      peer().end();
      await until(() => closes.length > 0, "the end");
      assert.match(closes[0] ?? "", /^1006 ./);
      socket.close();
    });

    it("says why it was never open", async () => {
      const { server: running } = await setUp(mode);
      await running.close();
      const closes: string[] = [];
      const socket: Socket = httpTransport(mode)(running.url.replace("http:", "ws:"), {
        onOpen: () => socket.send(bytes("hello")),
        onData: () => assert.fail("no data"),
        onClose: (code, reason) => closes.push(`${code} ${reason}`),
      });
      await until(() => closes.length > 0, "the end");
      assert.match(closes[0] ?? "", /^1006 .*ECONNREFUSED/);
    });

    it("closes with what was sent before, and tells the entry of a poll", async () => {
      const {
        server: { paths },
        socket,
        taken,
      } = await setUp(mode);
      socket.send(bytes("bye"));
      socket.close();
      socket.close();
      await until(() => taken.includes("bye"), "the last frame");
      if (mode === "poll") await until(() => paths.includes("/v1/close"), "the farewell");
    });
  });
}

describe("httpTransport behind a portal that answers everything with a page", () => {
  const page = (body: string | ReadableStream = "<html>sign in</html>"): Response =>
    new Response(body, { status: 200, headers: { "content-type": "text/html" } });

  /** What a socket hears of `answer`, until it is closed. */
  async function heardFrom(mode: HttpMode, answer: (path: string) => Response): Promise<string[]> {
    const heard: string[] = [];
    const fetch = (url: string): Promise<Response> => Promise.resolve(answer(new URL(url).pathname));
    const socket = httpTransport(mode, { fetch })("https://h", {
      onOpen() {
        socket.send(bytes("hello"));
        socket.send(bytes("more"));
      },
      onData: (data) => heard.push(text(data)),
      onClose: (code, reason) => heard.push(`${code} ${reason}`),
    });
    await until(() => heard.some((line) => /^\d{4} /.test(line)), "the end");
    return heard;
  }

  it("takes no byte of it for a frame, and waits for no end of it", async () => {
    const endless = (): Response => page(new ReadableStream({ start: (body) => body.enqueue(bytes("<html>")) }));
    for (const mode of ["sse", "poll"] as const) {
      assert.deepEqual(await heardFrom(mode, () => page()), ["1006 HTTP 200"]);
      assert.deepEqual(await heardFrom(mode, endless), ["1006 HTTP 200"]);
    }
  });

  it("does not take frames for sent that a portal swallowed", async () => {
    const welcome = (): Response =>
      new Response("welcome", {
        headers: { "im-lease": "l", "im-cursor": "7", "content-type": "application/octet-stream" },
      });
    let polls = 0;
    const answer = (path: string): Response => (path === "/v1/poll" && polls++ === 0 ? welcome() : page());
    assert.deepEqual(await heardFrom("poll", answer), ["welcome", "1006 HTTP 200"]);
    const later = (path: string): Response => (path === "/v1/poll" ? welcome() : page());
    const heard = await heardFrom("poll", later);
    assert.deepEqual([heard[0], heard.at(-1)], ["welcome", "1006 HTTP 200"]);
  });
});

describe("httpTransport", () => {
  it("takes the host and port of any URL, and refuses others at once", () => {
    const idle = { onOpen: () => undefined, onData: () => undefined, onClose: () => undefined };
    const urls: string[] = [];
    const fetch = (url: string): Promise<Response> => {
      urls.push(url);
      return new Promise(() => undefined);
    };
    for (const url of ["https://h", "wss://h:1/ws", "tls://h:2", "http://h/x", "ws://[::1]:3/ws?a", "tcp://h:4"])
      httpTransport("poll", { fetch })(url, idle).send(bytes("hello"));
    assert.deepEqual(
      urls,
      ["https://h", "https://h:1", "https://h:2", "http://h", "http://[::1]:3", "http://h:4"].map(
        (base) => `${base}/v1/poll`,
      ),
    );
    for (const url of ["ftp://h", "h", ""]) assert.throws(() => httpTransport("sse")(url, idle), /want https/);
  });
});
