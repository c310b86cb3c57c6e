// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../lib/clock.ts";
import { fallbackTransport } from "./fallback.ts";
import type { Socket, Transport, TransportListener } from "./transport.ts";

const MINUTE_MS = 60_000;

/** Three transports of which the test says what works. */
function setUp() {
  const clock = new FakeClock();
  const dialled: number[] = [];
  const works = new Set<number>();
  const idle: TransportListener = { onOpen: () => undefined, onData: () => undefined, onClose: () => undefined };
  const make = (index: number): Transport => {
    return (_url, listener): Socket => {
      dialled.push(index);
      listener.onOpen();
      if (works.has(index)) listener.onData(new Uint8Array(1));
      else listener.onClose(1006, "no");
      return { send: () => undefined, close: () => undefined };
    };
  };
  const transport = fallbackTransport([0, 1, 2].map(make), clock);
  const dial = (count = 1, listener = idle): number[] => {
    dialled.length = 0;
    for (let i = 0; i < count; i++) transport("wss://h/ws", listener);
    return [...dialled];
  };
  return { clock, works, dial, idle };
}

describe("fallbackTransport", () => {
  it("stays with the best while it works, whatever happens to a connection later", () => {
    const { works, dial } = setUp();
    works.add(0);
    assert.deepEqual(dial(5), [0, 0, 0, 0, 0]);
  });

  it("tries each twice, the worst last, and begins anew", () => {
    const { dial } = setUp();
    assert.deepEqual(dial(8), [0, 0, 1, 1, 2, 2, 0, 0]);
  });

  it("remembers what works", () => {
    const { works, dial } = setUp();
    works.add(1);
    assert.deepEqual(dial(5), [0, 0, 1, 1, 1]);
    works.clear();
    assert.deepEqual(dial(4), [1, 1, 2, 2]);
  });

  it("one failure between successes changes nothing", () => {
    const { works, dial } = setUp();
    works.add(0);
    dial(1);
    works.clear();
    dial(1);
    works.add(0);
    assert.deepEqual(dial(3), [0, 0, 0]);
  });

  it("tries the best again every ten minutes, one dial each", () => {
    const { clock, works, dial } = setUp();
    works.add(2);
    assert.deepEqual(dial(5), [0, 0, 1, 1, 2]);
    for (let round = 1; round < 5; round++) {
      clock.advance(10 * MINUTE_MS - 1);
      assert.deepEqual(dial(2), [2, 2], `before round ${round}`);
      clock.advance(1);
      assert.deepEqual(dial(3), [0, 2, 2], `round ${round}`);
    }
  });

  it("goes back to the best for good when it works again", () => {
    const { clock, works, dial } = setUp();
    works.add(1);
    dial(3);
    works.add(0);
    clock.advance(10 * MINUTE_MS);
    assert.deepEqual(dial(3), [0, 0, 0]);
    works.delete(0);
    assert.deepEqual(dial(4), [0, 0, 1, 1]);
  });

  it("a connection that brought nothing before it was given up counts as a failure", () => {
    const clock = new FakeClock();
    const dialled: number[] = [];
    const silent = (index: number): Transport => {
      return () => {
        dialled.push(index);
        return { send: () => undefined, close: () => undefined };
      };
    };
    const transport = fallbackTransport([silent(0), silent(1)], clock);
    const { idle } = setUp();
    for (let i = 0; i < 3; i++) transport("x", idle).close();
    assert.deepEqual(dialled, [0, 0, 1]);
  });

  it("passes everything on", () => {
    const sent: string[] = [];
    const heard: string[] = [];
    const transport = fallbackTransport([
      (url, listener) => {
        listener.onOpen();
        listener.onData(new Uint8Array([1, 2]));
        listener.onClose(4001, "moved");
        return { send: (bytes) => sent.push(`${url} ${bytes}`), close: () => sent.push("close") };
      },
    ]);
    const socket = transport("u", {
      onOpen: () => heard.push("open"),
      onData: (bytes) => heard.push(String(bytes)),
      onClose: (code, reason) => heard.push(`${code} ${reason}`),
    });
    socket.send(new Uint8Array([7]));
    socket.close();
    assert.deepEqual(
      [heard, sent],
      [
        ["open", "1,2", "4001 moved"],
        ["u 7", "close"],
      ],
    );
  });
});
