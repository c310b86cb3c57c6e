// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import fc from "fast-check";
import { waitFor } from "../testing/wait.ts";
import { readBody } from "./body.ts";

/** As much of a request as is read. */
function requestOf(headers: IncomingHttpHeaders = {}) {
  const stream = Object.assign(new PassThrough(), { headers });
  return { stream, request: stream as unknown as IncomingMessage };
}

describe("readBody", () => {
  it("brings any chunks together, or says that they are too many bytes", async () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat(400), async (parts, maxBytes) => {
        const { stream, request } = requestOf();
        const body = readBody(request, maxBytes);
        for (const part of parts) stream.write(Buffer.from(part));
        stream.end();
        const whole = Buffer.concat(parts);
        const wanted = whole.length > maxBytes ? { kind: "too_large" } : { kind: "whole", bytes: whole };
        assert.deepEqual(await body, wanted);
      }),
    );
  });

  it("keeps none of many chunks: a byte each would cost a hundred times as much", async () => {
    const { stream, request } = requestOf();
    const body = readBody(request, 10_000);
    const chunks = Array.from({ length: 10_000 }, (_, index) => Buffer.from([index & 0xff]));
    for (const chunk of chunks) stream.write(chunk);
    await waitFor("chunks read", () => stream.writableLength + stream.readableLength === 0);
    // What was read is a copy: nothing that happens to a chunk afterwards shows.
    for (const chunk of chunks) chunk.fill(0xee);
    stream.end();
    const read = await body;
    assert.ok(read.kind === "whole");
    assert.ok(read.bytes.equals(Buffer.from(Array.from({ length: 10_000 }, (_, index) => index & 0xff))));
  });

  it("reads nothing that says it is too long, and ends when the client leaves", async () => {
    assert.deepEqual(await readBody(requestOf({ "content-length": "11" }).request, 10), { kind: "too_large" });
    const { stream, request } = requestOf();
    const body = readBody(request, 10);
    stream.write("some");
    stream.destroy();
    assert.deepEqual(await body, { kind: "aborted" });
    const failed = requestOf();
    const cut = readBody(failed.request, 10);
    failed.stream.destroy(new Error("reset"));
    assert.deepEqual(await cut, { kind: "aborted" });
  });
});
