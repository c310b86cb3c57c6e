// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { request } from "node:https";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { silentLogger } from "#lib/logger.ts";
import { createCa, issueLeaf } from "../pki/x509.ts";
import { AdmissionServer } from "./server.ts";

const nowMs = Date.now();
const ca = createCa({ commonName: "test", nowMs, validDays: 2 });
const leaf = () =>
  issueLeaf(ca, { commonName: "127.0.0.1", altNames: ["127.0.0.1"], usage: ["server"], nowMs, validDays: 1 });

const server = new AdmissionServer({
  ...{ port: 0, host: "127.0.0.1", log: silentLogger },
  answers: {
    "/a": ({ name }) => ({ warnings: [`a ${name}`] }),
    "/b": async ({ subResource }) => (subResource === "x" ? { refusal: "not yet" } : undefined),
    "/c": () => Promise.reject(new Error("broken")),
  },
});
before(() => server.use(leaf()));
after(() => server.close());

const review = (more: object = {}) =>
  JSON.stringify({ kind: "AdmissionReview", request: { uid: "q", namespace: "n", name: "o", ...more } });

/** Over a connection of its own. */
function ask(path: string, body: string, method = "POST"): Promise<{ status: number; text: string; serial: string }> {
  return new Promise((resolve, reject) => {
    const target = { host: "127.0.0.1", port: server.port, ca: ca.cert, agent: false as const };
    const sent = request({ ...target, path, method }, (response) => {
      const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text, serial: serialNumber }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

describe("AdmissionServer", () => {
  it("answers each path by its own", async () => {
    const a = await ask("/a?timeout=2s", review());
    assert.equal(a.status, 200);
    assert.deepEqual(JSON.parse(a.text).response, { uid: "q", allowed: true, warnings: ["a o"] });
    const b = await ask("/b", review({ subResource: "x" }));
    assert.equal(JSON.parse(b.text).response.status.message, "not yet");
  });

  it("says what it does not answer", async () => {
    const status = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;
    assert.equal(await status("/", review()), 404);
    assert.equal(await status("/__proto__", review()), 404);
    assert.equal(await status("/a", "", "GET"), 404);
    assert.equal(await status("/a", "{"), 400);
    assert.equal(await status("/b", review()), 400, "a review that is not of this path");
    assert.equal(await status("/c", review()), 500);
  });

  it("takes a review of 1 MiB and no more", async () => {
    assert.equal((await ask("/a", review({ object: "x".repeat(900 * 1024) }))).status, 200);
    assert.equal((await ask("/a", review({ object: "x".repeat(1024 * 1024) }))).status, 400);
  });

  it("goes on with another certificate", async () => {
    const before = await ask("/a", review());
    const { port } = server;
    assert.equal(await server.use(leaf()), port);
    const then = await ask("/a", review());
    assert.equal(then.status, 200);
    assert.notEqual(then.serial, before.serial);
  });
});
