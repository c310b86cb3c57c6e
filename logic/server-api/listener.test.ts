// SPDX-License-Identifier: Apache-2.0
// What reaches the desk over real sockets, and what does not.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import type { ApiRequest, ApiResponse } from "./api-desk.ts";
import { type ApiListener, startApiListener } from "./listener.ts";

const MAX_BODY_BYTES = 1000;
const WAIT_MS = 20_000;

interface RawAnswer {
  text: string;
  isClosed: boolean;
}

describe("the listener of the API", () => {
  const seen: { method: string; path: string; query: string; body: string; key: string | undefined }[] = [];
  let listener: ApiListener;

  /** Reads the body as the desk does; `/unread` answers without. */
  async function handle(request: ApiRequest): Promise<ApiResponse> {
    const headers = { "content-type": "application/json" };
    if (request.path === "/unread") return { status: 401, headers, body: "{}" };
    const read = await request.readBody(MAX_BODY_BYTES);
    if ("kind" in read) return { status: 413, headers, body: JSON.stringify(read) };
    const { method, path, query, idempotencyKey: key } = request;
    seen.push({ method, path, query: query.toString(), body: Buffer.from(read).toString(), key });
    return { status: path === "/none" ? 204 : 200, headers, body: path === "/none" ? "" : '{"ok":true}' };
  }

  before(async () => {
    listener = await startApiListener({ port: 0, desk: { handle }, document: '{"openapi":"3.1.0"}', tls: undefined });
  });
  after(() => listener.close());

  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(listener.port, "127.0.0.1", () => resolve(socket));
      socket.once("error", reject);
    });

  /** Writes, and reads until the server closes or `isEnough`. */
  async function raw(text: string, isEnough: (text: string) => boolean = () => false): Promise<RawAnswer> {
    const socket = await open();
    return await new Promise((resolve, reject) => {
      let read = "";
      const timer = setTimeout(() => reject(new Error(`no end: ${read}`)), WAIT_MS);
      const end = (isClosed: boolean): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve({ text: read, isClosed });
      };
      socket.on("error", () => end(true));
      socket.on("close", () => end(true));
      socket.on("data", (chunk) => {
        read += chunk.toString("latin1");
        if (isEnough(read)) end(false);
      });
      socket.write(text);
    });
  }

  const statusOf = ({ text }: RawAnswer): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
  const HOST = "host: api\r\n";

  it("hands over method, path, query, headers and body", async () => {
    const response = await fetch(`http://127.0.0.1:${listener.port}/v1/x?a=1&a=2`, {
      method: "POST",
      headers: { "idempotency-key": "k-1" },
      body: '{"a":1}',
    });
    assert.deepEqual([response.status, await response.json()], [200, { ok: true }]);
    assert.deepEqual(seen.at(-1), { method: "POST", path: "/v1/x", query: "a=1&a=2", body: '{"a":1}', key: "k-1" });
    for (const [name, value] of [
      ["cache-control", "no-store"],
      ["x-content-type-options", "nosniff"],
    ] as const)
      assert.equal(response.headers.get(name), value);
  });

  it("serves the document to everybody", async () => {
    const response = await fetch(`http://127.0.0.1:${listener.port}/openapi.json`);
    assert.deepEqual([response.status, await response.json()], [200, { openapi: "3.1.0" }]);
  });

  it("keeps the connection for the next request", async () => {
    const two = `GET /a HTTP/1.1\r\n${HOST}\r\nGET /none HTTP/1.1\r\n${HOST}\r\n`;
    const answer = await raw(two, (text) => text.includes("204"));
    assert.deepEqual([answer.isClosed, answer.text.match(/HTTP\/1\.1/g)?.length], [false, 2]);
  });

  it("takes a body in chunks", async () => {
    const chunked = `POST /v1/x HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`;
    assert.equal(statusOf(await raw(chunked, (text) => text.includes("true"))), 200);
    assert.equal(seen.at(-1)?.body, "abcde");
  });

  it("refuses a body of 1 GiB without reading it, and closes", async () => {
    const announced = await raw(`POST /v1/x HTTP/1.1\r\n${HOST}content-length: 1073741824\r\n\r\nabc`);
    assert.deepEqual([statusOf(announced), announced.isClosed], [413, true]);
    const endless = await new Promise<{ status: number; written: number }>((resolve, reject) => {
      let written = 0;
      let isOver = false;
      const options = { port: listener.port, host: "127.0.0.1", method: "POST", path: "/v1/x" };
      const request = httpRequest(options, (response) => {
        isOver = true;
        response.resume();
        resolve({ status: response.statusCode ?? 0, written });
      });
      request.on("error", (error) => {
        if (!isOver) reject(error);
      });
      const chunk = Buffer.alloc(64 * 1024);
      const write = (): void => {
        while (!isOver && written < 2 ** 30) {
          written += chunk.length;
          if (!request.write(chunk)) {
            request.once("drain", write);
            return;
          }
        }
      };
      write();
    });
    assert.equal(endless.status, 413);
    assert.ok(endless.written < 64 * 2 ** 20, `${endless.written} bytes were taken`);
  });

  it("answers before a body that nobody wants, and reads no more than a little of it", async () => {
    const small = `POST /unread HTTP/1.1\r\n${HOST}content-length: 3\r\n\r\nabcGET /a HTTP/1.1\r\n${HOST}\r\n`;
    const followed = await raw(small, (text) => text.includes('{"ok":true}'));
    assert.deepEqual([statusOf(followed), followed.isClosed], [401, false]);
    const large = await raw(`POST /unread HTTP/1.1\r\n${HOST}content-length: 1073741824\r\n\r\n`);
    assert.deepEqual([statusOf(large), large.isClosed], [401, true]);
    const chunked = await raw(`POST /unread HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`);
    assert.deepEqual([statusOf(chunked), chunked.isClosed], [401, true]);
  });

  const MALFORMED: [what: string, text: string, status: number][] = [
    ["no HTTP", "hello\r\n\r\n", 400],
    ["two lengths", `POST /v1/x HTTP/1.1\r\n${HOST}content-length: 3\r\ncontent-length: 3\r\n\r\nabc`, 400],
    ["two hosts", `GET /v1/x HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
    ["no host", "GET /v1/x HTTP/1.1\r\n\r\n", 400],
    [
      "length and chunks",
      `POST /v1/x HTTP/1.1\r\n${HOST}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["chunks in HTTP/1.0", `POST /v1/x HTTP/1.0\r\n${HOST}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["another encoding", `POST /v1/x HTTP/1.1\r\n${HOST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a target of a proxy", `GET http://other/ HTTP/1.1\r\n${HOST}\r\n`, 400],
    ["large headers", `GET /v1/x HTTP/1.1\r\n${HOST}x: ${"y".repeat(10_000)}\r\n\r\n`, 431],
    ["many headers", `GET /v1/x HTTP/1.1\r\n${HOST}${"a: b\r\n".repeat(70)}\r\n`, 431],
    ["an expectation", `POST /v1/x HTTP/1.1\r\n${HOST}expect: coffee\r\ncontent-length: 0\r\n\r\n`, 417],
  ];
  for (const [what, text, status] of MALFORMED)
    it(`refuses ${what} with ${status} and closes`, async () => {
      const before = seen.length;
      const answer = await raw(text);
      assert.deepEqual([statusOf(answer), answer.isClosed, seen.length], [status, true, before], answer.text);
      if (what !== "no host") assert.match(answer.text, /application\/problem\+json/);
    });

  it("ends a connection whose body does not come to its end", async () => {
    const socket = await open();
    socket.write(`POST /v1/x HTTP/1.1\r\n${HOST}content-length: 100\r\n\r\nabc`);
    socket.destroy();
    const response = await fetch(`http://127.0.0.1:${listener.port}/a`);
    assert.equal(response.status, 200, "others are served on");
  });

  it("ends a connection whose client does not read its answer", async () => {
    const large = "x".repeat(32 * 2 ** 20);
    const own = await startApiListener({
      ...{ port: 0, document: "", tls: undefined, idleMs: 200 },
      desk: { handle: async () => ({ status: 200, headers: {}, body: large }) },
    });
    try {
      const socket = connect(own.port, "127.0.0.1");
      let bytes = 0;
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.on("error", () => undefined);
      socket.write(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
      socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      socket.on("data", (chunk) => {
        bytes += chunk.length;
      });
      socket.resume();
      await closed;
      assert.ok(bytes < large.length, `${bytes} bytes came`);
    } finally {
      await own.close();
    }
  });

  it("answers what it has begun when it closes", async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const own = await startApiListener({
      ...{ port: 0, document: "", tls: undefined },
      desk: {
        handle: async () => {
          begun.resolve();
          await gate.promise;
          return { status: 200, headers: {}, body: "late" };
        },
      },
    });
    const answer = fetch(`http://127.0.0.1:${own.port}/a`).then((response) => response.text());
    await begun.promise;
    const closed = own.close();
    gate.resolve();
    assert.equal(await answer, "late");
    await closed;
    await assert.rejects(fetch(`http://127.0.0.1:${own.port}/a`));
  });
});
