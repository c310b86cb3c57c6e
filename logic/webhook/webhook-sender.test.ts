// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { FakeClock, systemClock } from "#lib/clock.ts";
import { AllowedNetworks } from "./public-address.ts";
import { signature } from "./signature.ts";
import { type WebhookResult, WebhookSender, type WebhookSenderOptions } from "./webhook-sender.ts";

interface Backend {
  url: string;
  seen: { headers: IncomingMessage["headers"]; body: string }[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** A backend on loopback that answers each request by `answer`, after it has read it. */
async function backend(answer: (response: ServerResponse, at: number) => void): Promise<Backend> {
  const seen: Backend["seen"] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      answer(response, seen.length - 1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function senderOf(options: Partial<WebhookSenderOptions> = {}) {
  const allowed = new AllowedNetworks(["127.0.0.0/8"]);
  const sender = new WebhookSender({
    allowed,
    clock: systemClock,
    random: () => 0.5,
    pauseMs: 1,
    timeoutMs: 60_000,
    ...options,
  });
  const post = (url: string, more: { signal?: AbortSignal } = {}): Promise<WebhookResult> =>
    sender.post({ url, secret: "s3cret", body: '{"a":1}', idempotencyKey: "key-1", ...more });
  return { sender, post };
}

describe("a webhook", () => {
  it("is signed over time and body, and brings what the backend says", async () => {
    await using shop = await backend((response) => response.writeHead(201).end("done"));
    const { sender, post } = senderOf();
    const result = await post(shop.url);
    assert.deepEqual(result, { kind: "answered", status: 201, body: Buffer.from("done") });
    const [seen] = shop.seen;
    const [, time] = /^t=(\d+),/.exec(String(seen?.headers["x-im-signature"])) ?? [];
    assert.equal(seen?.headers["x-im-signature"], signature("s3cret", Number(time), '{"a":1}'));
    assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60);
    assert.deepEqual([seen?.body, seen?.headers["idempotency-key"]], ['{"a":1}', "key-1"]);
    sender.close();
  });

  it("is tried again with the same key after 5xx, 408, 425, 429 and redirects, and no more often than allowed", async () => {
    const statuses = [503, 429, 302];
    await using shop = await backend((response, at) =>
      response.writeHead(statuses[at % 3] ?? 500, { location: "/elsewhere" }).end("no"),
    );
    const { sender, post } = senderOf();
    assert.deepEqual(await post(shop.url), { kind: "failed", reason: "the backend answered 302" });
    assert.equal(shop.seen.length, 3);
    assert.deepEqual(new Set(shop.seen.map(({ headers }) => headers["idempotency-key"])), new Set(["key-1"]));
    sender.close();
  });

  it("ends with the first decision of the backend", async () => {
    await using shop = await backend((response, at) => response.writeHead(at === 0 ? 500 : 422).end("bad"));
    const { sender, post } = senderOf();
    assert.deepEqual(await post(shop.url), { kind: "answered", status: 422, body: Buffer.from("bad") });
    assert.equal(shop.seen.length, 2);
    sender.close();
  });

  it("reads so much of an answer and no more", async () => {
    await using shop = await backend((response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write("x".repeat(16_384), () => setImmediate(more));
      };
      more();
    });
    const { sender, post } = senderOf({ maxAnswerBytes: 1000 });
    const result = await post(shop.url);
    assert.ok(result.kind === "answered" && result.body.length === 1000);
    sender.close();
  });

  it("gives up who does not answer, and who hangs up", async () => {
    await using silent = await backend(() => undefined);
    await using rude = await backend((response) => response.destroy());
    const { sender, post } = senderOf({ timeoutMs: 50, tries: 2 });
    const result = await post(silent.url);
    assert.deepEqual(result, { kind: "failed", reason: "no answer within 50 ms" });
    assert.equal((await post(rude.url)).kind, "failed");
    assert.equal((await post("http://127.0.0.1:1/")).kind, "failed");
    const abort = new AbortController();
    const aborted = senderOf({ timeoutMs: 60_000 });
    const running = aborted.post(silent.url, { signal: abort.signal });
    abort.abort();
    assert.deepEqual(await running, { kind: "failed", reason: "aborted" });
    for (const one of [sender, aborted.sender]) one.close();
  });

  it("tells how long it takes at most", () => {
    const sender = new WebhookSender({ allowed: new AllowedNetworks([]), clock: new FakeClock(), random: () => 0 });
    assert.equal(sender.deadlineMs, 3 * 3000 + 400 + 800);
    sender.close();
  });
});

describe("a webhook to where none goes", () => {
  const forbidden = async (url: string, options: Partial<WebhookSenderOptions> = {}): Promise<string> => {
    const { sender, post } = senderOf({ allowed: new AllowedNetworks([]), ...options });
    const result = await post(url);
    sender.close();
    return result.kind === "forbidden" ? result.reason : result.kind;
  };

  it("is not sent: private addresses in any writing, other schemes, passwords", async () => {
    await using shop = await backend((response) => response.end());
    const port = new URL(shop.url).port;
    const hosts = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0"];
    for (const host of hosts)
      for (const scheme of ["http", "https"])
        assert.match(await forbidden(`${scheme}://${host}:${port}/`), /private address/, host);
    for (const host of ["169.254.169.254", "10.0.0.1", "[fd00::1]", "[fe80::1]", "192.168.0.1"])
      assert.match(await forbidden(`https://${host}/`), /private address/, host);
    for (const url of ["", "x", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/"])
      assert.match(await forbidden(url), /no URL|https/, url);
    assert.match(await forbidden("https://user:pw@shop.example/"), /no user/);
    assert.match(await forbidden("http://8.8.8.8/"), /https/);
    assert.equal(shop.seen.length, 0);
  });

  it("is not sent to a name that leads to a private address, even beside a public one, or on another look", async () => {
    await using shop = await backend((response) => response.end());
    const { port } = new URL(shop.url);
    const answers = (...addresses: string[]): Partial<WebhookSenderOptions> => ({
      resolve: (_, done) =>
        done(
          null,
          addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
        ),
    });
    const url = `https://shop.example:${port}/`;
    for (const addresses of [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["2606:4700::1111", "fd00::1"]])
      assert.match(await forbidden(url, answers(...addresses)), /private address/, addresses.join());
    assert.match(await forbidden(`http://shop.example:${port}/`, answers("8.8.8.8")), /https/);
    // A name that means something else with each look: what was looked at is what is connected to, and nobody is there.
    let looks = 0;
    const rebinding = senderOf({
      ...{ tries: 1, allowed: new AllowedNetworks(["127.0.0.2/32"]) },
      resolve: (_, done) => done(null, [{ address: looks++ === 0 ? "127.0.0.2" : "127.0.0.1", family: 4 }]),
    });
    assert.equal((await rebinding.post(`http://shop.example:${port}/`)).kind, "failed");
    assert.deepEqual([looks, shop.seen.length], [1, 0]);
    rebinding.sender.close();
    const nobody = senderOf({ tries: 1, resolve: (_, done) => done(null, []) });
    assert.equal((await nobody.post(url)).kind, "failed");
    nobody.sender.close();
  });

  it("goes to a name in a network that is allowed", async () => {
    await using shop = await backend((response) => response.end("in"));
    const { port } = new URL(shop.url);
    for (const all of [true, false]) {
      const { sender, post } = senderOf({ resolve: (_, done) => done(null, [{ address: "127.0.0.1", family: 4 }]) });
      const result = await post(`http://backend.internal:${port}/${all}`);
      assert.deepEqual(result, { kind: "answered", status: 200, body: Buffer.from("in") });
      assert.equal(shop.seen.at(-1)?.headers.host, `backend.internal:${port}`);
      sender.close();
    }
  });
});
