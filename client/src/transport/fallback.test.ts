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
    for (let i = 0; i < 2; i++) transport("x", idle).close();
    const third = transport("x", idle);
    clock.advance(4_000);
    third.close();
    assert.deepEqual(dialled, [0, 0, 0, 1]);
    assert.equal(clock.pending, 0);
  });

  describe("in an outage", () => {
    /** Two transports on a network that is away, lets everything through, or only the second. */
    function setUpNetwork() {
      const clock = new FakeClock();
      const network = { state: "away" as "away" | "open" | "blocks the best" };
      const dialled: number[] = [];
      const closed: number[] = [];
      const make = (index: number): Transport => {
        return (_url, listener): Socket => {
          dialled.push(index);
          const isThrough = network.state === "open" || (network.state === "blocks the best" && index === 1);
          let isClosed = false;
          queueMicrotask(() => {
            if (isClosed) return;
            // The second is HTTP: it is open before it has reached anybody.
            if (isThrough || index === 1) listener.onOpen();
            if (isThrough) listener.onData(new Uint8Array(1));
          });
          return {
            send: () => undefined,
            close() {
              isClosed = true;
              closed.push(index);
            },
          };
        };
      };
      const transport = fallbackTransport([make(0), make(1)], clock);
      const heard: string[] = [];
      /** One attempt of a client that gives up after ten seconds. */
      const attempt = async (): Promise<number[]> => {
        dialled.length = 0;
        heard.length = 0;
        const socket = transport("u", {
          onOpen: () => heard.push("open"),
          onData: () => heard.push("data"),
          onClose: (code) => heard.push(`close ${code}`),
        });
        for (let i = 0; i < 10 && !heard.includes("data"); i++) {
          await Promise.resolve();
          clock.advance(1_000);
        }
        if (!heard.includes("data")) socket.close();
        return [...dialled];
      };
      return { clock, network, attempt, heard, closed };
    }

    it("finds the best transport again when the outage is over, whatever was tried last", async () => {
      for (let failures = 0; failures < 8; failures++) {
        const { clock, network, attempt, heard } = setUpNetwork();
        for (let i = 0; i < failures; i++) await attempt();
        network.state = "open";
        assert.equal((await attempt()).at(-1), 0, `after ${failures} failures`);
        assert.deepEqual(heard, ["open", "data"]);
        assert.deepEqual(await attempt(), [0]);
        assert.equal(clock.pending, 0);
      }
    });

    it("still finds another where the best is blocked, and remembers it", async () => {
      const { network, attempt, heard, closed } = setUpNetwork();
      network.state = "blocks the best";
      assert.deepEqual(await attempt(), [0]);
      assert.deepEqual(await attempt(), [0]);
      closed.length = 0;
      assert.deepEqual(await attempt(), [0, 1]);
      assert.deepEqual([heard, closed], [["open", "data"], [0]]);
      assert.deepEqual(await attempt(), [1]);
    });

    it("a best transport that fails at once makes room at once", async () => {
      const clock = new FakeClock();
      const dialled: number[] = [];
      const refuse: Transport = (_url, listener) => {
        dialled.push(0);
        listener.onClose(1006, "refused");
        return { send: () => undefined, close: () => undefined };
      };
      const sent: string[] = [];
      const works: Transport = (_url, listener) => {
        dialled.push(1);
        queueMicrotask(() => listener.onOpen());
        return { send: (bytes) => sent.push(String(bytes)), close: () => sent.push("close") };
      };
      const transport = fallbackTransport([refuse, works], clock);
      const { idle } = setUp();
      for (let i = 0; i < 2; i++) transport("u", idle);
      dialled.length = 0;
      const socket = transport("u", idle);
      await Promise.resolve();
      socket.send(new Uint8Array([7]));
      socket.close();
      assert.deepEqual([dialled, sent, clock.pending], [[0, 1], ["7", "close"], 0]);
    });
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
