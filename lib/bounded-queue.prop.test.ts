// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BoundedQueue } from "./bounded-queue.ts";

const operation = fc.oneof(
  fc.record({ kind: fc.constant("push" as const), bytes: fc.nat(40) }, { noNullPrototype: true }),
  fc.constant({ kind: "shift" as const }),
  fc.constant({ kind: "peek" as const }),
  fc.record({ kind: fc.constant("clear" as const) }, { noNullPrototype: true }),
);

describe("BoundedQueue", () => {
  it("behaves as a plain list with both limits", () => {
    fc.assert(
      fc.property(
        fc.nat(30),
        fc.nat(400),
        fc.array(operation, { maxLength: 120 }),
        (maxItems, maxBytes, operations) => {
          const queue = new BoundedQueue<number>({ maxItems, maxBytes });
          let model: { id: number; bytes: number }[] = [];
          const modelBytes = () => model.reduce((sum, item) => sum + item.bytes, 0);
          operations.forEach((op, id) => {
            if (op.kind === "push") {
              const fits = model.length < maxItems && modelBytes() + op.bytes <= maxBytes;
              assert.equal(queue.push(id, op.bytes), fits);
              if (fits) model.push({ id, bytes: op.bytes });
            } else if (op.kind === "shift") {
              assert.equal(queue.shift(), model.shift()?.id);
            } else if (op.kind === "peek") {
              assert.equal(queue.peek(), model[0]?.id);
            } else {
              queue.clear();
              model = [];
            }
            assert.equal(queue.length, model.length);
            assert.equal(queue.bytes, modelBytes());
          });
        },
      ),
    );
  });

  it("has no byte limit unless given one", () => {
    const queue = new BoundedQueue<string>({ maxItems: 2 });
    assert.equal(queue.push("a", 1e12), true);
    assert.equal(queue.push("b", 1e12), true);
    assert.equal(queue.push("c"), false);
  });
});
