// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Row } from "./postgres-pool.ts";
import { PostgresPushStore } from "./postgres-push.ts";

const rowOf = (seq: number, head: number): Row => [
  ...["bob", String(seq), String(head)],
  ...(seq <= head ? [`m${seq}`, "c", "alice", "text/plain", "1000", "f"] : [null, null, null, null, null, "f"]),
];

/** A push store whose pool is of a server with `head` messages, and whose connections of now lead to one with `headNow`. */
function setUp(head: number, headNow: number) {
  const asked: string[] = [];
  const answer = (kind: string, headThere: number) => async (_: unknown, values: readonly unknown[]) => {
    asked.push(kind);
    assert.equal(values.length, 2);
    return [1, 2].map((seq) => rowOf(seq, headThere));
  };
  const renewSince = (): void => void asked.push("renew");
  const store = new PostgresPushStore({ run: answer("pool", head), runAnew: answer("now", headNow), renewSince });
  const read = async (): Promise<number[]> => {
    const positions = [1, 2].map((inboxSeq) => ({ userId: "bob", inboxSeq }));
    return (await store.readSubjects(positions)).map(({ inboxSeq }) => inboxSeq);
  };
  return { read, asked };
}

describe("subjects of pushes that a connection does not know", () => {
  it("are asked for on a connection of now, and the others are left when it knows them", async () => {
    const { read, asked } = setUp(1, 2);
    assert.deepEqual(
      [await read(), asked],
      [
        [1, 2],
        ["pool", "now", "renew"],
      ],
    );
  });

  it("are gone when a connection of now does not know them either", async () => {
    const { read, asked } = setUp(1, 1);
    assert.deepEqual([await read(), asked], [[1], ["pool", "now"]]);
  });

  it("make no further question when there are none", async () => {
    const { read, asked } = setUp(2, 2);
    assert.deepEqual([await read(), asked], [[1, 2], ["pool"]]);
  });
});
