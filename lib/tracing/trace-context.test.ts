// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  readTraceAsk,
  readTraceContext,
  readTraceparent,
  writeTraceContext,
  writeTraceparent,
} from "./trace-context.ts";

const hex = (digits: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: digits, maxLength: digits })
    .map((values) => values.map((value) => value.toString(16)).join(""))
    .filter((text) => !/^0+$/.test(text));
const contextArb = fc.record({ traceId: hex(32), spanId: hex(16) }, { noNullPrototype: true });

describe("the context of a trace", () => {
  it("is the same after it was written and read, whatever a newer version adds", () => {
    fc.assert(
      fc.property(contextArb, fc.uint8Array({ maxLength: 20 }), (context, more) => {
        const bytes = writeTraceContext(context);
        assert.equal(bytes.length, 24);
        assert.deepEqual(readTraceContext(bytes), context);
        assert.deepEqual(readTraceContext(Buffer.concat([bytes, more])), context);
        assert.deepEqual(readTraceparent(writeTraceparent(context)), context);
      }),
    );
  });

  it("is none when it is cut, empty or of any other bytes", () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(23).fill(7), new Uint8Array(24)])
      assert.equal(readTraceContext(bytes), undefined);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void readTraceContext(bytes)));
  });

  it("is what W3C allows, and only when the trace is recorded", () => {
    const [traceId, spanId] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    for (const text of [`00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-03`, `01-${traceId}-${spanId}-01-more`])
      assert.deepEqual(readTraceparent(text), { traceId, spanId }, text);
    for (const text of [
      ...[undefined, "", "00", `00-${traceId}-${spanId}-00`, `ff-${traceId}-${spanId}-01`],
      ...[`00-${traceId}-${spanId}-01-more`, `00-${"0".repeat(32)}-${spanId}-01`, `00-${traceId}-${"0".repeat(16)}-01`],
      ...[`00-${traceId.toUpperCase()}-${spanId}-01`, ` 00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}`],
    ])
      assert.equal(readTraceparent(text), undefined, text);
    // Who says that nothing is recorded has said something; who says nothing that can be read has not.
    assert.equal(readTraceAsk(`00-${traceId}-${spanId}-00`), "unrecorded");
    assert.equal(readTraceAsk(`00-${traceId}-${spanId}-02`), "unrecorded");
    for (const text of [`00-${"0".repeat(32)}-${spanId}-00`, `ff-${traceId}-${spanId}-00`, `${traceId}-00`, undefined])
      assert.equal(readTraceAsk(text), undefined, text);
    assert.deepEqual(readTraceAsk(`00-${traceId}-${spanId}-01`), { traceId, spanId });
  });
});
