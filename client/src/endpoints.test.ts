// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { type Endpoint, type EndpointList, endpointTransport, fetchEndpoints, orderEndpoints } from "./endpoints.ts";
import type { Socket, Transport, TransportListener } from "./transport/transport.ts";

const MINUTE_MS = 60_000;
const URL_OWN = "wss://im.example.com/ws";

const one = (rank: number, address: string, weight = 1): Endpoint => ({ rank, kind: "list", address, weight });
const listOf = (...endpoints: Endpoint[]): EndpointList => ({ ttlMs: 300_000, endpoints });
const answer = (list: unknown, status = 200): Response => new Response(JSON.stringify(list), { status });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const idle: TransportListener = { onOpen: () => undefined, onData: () => undefined, onClose: () => undefined };

describe("fetchEndpoints", () => {
  const ask = async (url: string, list: unknown, status = 200) => {
    const asked: string[] = [];
    const got = await fetchEndpoints(url, async (target) => {
      asked.push(target);
      return answer(list, status);
    });
    return { asked, got };
  };

  it("asks the host of the URL, by https where that is what the URL means", async () => {
    for (const [url, target] of [
      ["wss://h/ws", "https://h/v1/endpoints"],
      ["tls://h:8443", "https://h:8443/v1/endpoints"],
      ["https://h", "https://h/v1/endpoints"],
      ["ws://127.0.0.1:8081/ws?x=1", "http://127.0.0.1:8081/v1/endpoints"],
      ["tcp://[::1]:8081", "http://[::1]:8081/v1/endpoints"],
    ] as const)
      assert.deepEqual((await ask(url, listOf())).asked, [target]);
    await assert.rejects(fetchEndpoints("im.example.com"), TypeError);
  });

  it("takes what is of use, and no more of it than it can bear", async () => {
    const good = one(1, "a:443", 5);
    const wrong = [
      null,
      1,
      {},
      { address: 1 },
      one(1, "a"),
      one(1, "a:443/x"),
      one(1, "u@a:443"),
      one(1, "a:b"),
      one(1, ""),
    ];
    const { got } = await ask(URL_OWN, { ttlMs: 5, endpoints: [...wrong, good], more: true });
    assert.deepEqual(got, { ttlMs: MINUTE_MS, endpoints: [good] });
    const odd = { rank: -1, kind: 7, address: "[::1]:1", weight: "9", more: 1 };
    const clamped = { rank: 1, kind: "7", address: "[::1]:1", weight: 1 };
    assert.deepEqual((await ask(URL_OWN, { ttlMs: 1e15, endpoints: [odd] })).got, {
      ttlMs: 24 * 60 * MINUTE_MS,
      endpoints: [clamped],
    });
    const many = Array.from({ length: 100 }, (_, i) => one(1, `a${i}:443`));
    assert.equal((await ask(URL_OWN, listOf(...many))).got.endpoints.length, 64);
  });

  it("rejects what is no list", async () => {
    for (const list of [null, 1, [], {}, { endpoints: {} }]) await assert.rejects(ask(URL_OWN, list), TypeError);
    await assert.rejects(ask(URL_OWN, listOf(), 404), /HTTP 404/);
    await assert.rejects(fetchEndpoints(URL_OWN, async () => new Response("<html>")));
  });
});

describe("orderEndpoints", () => {
  it("goes by rank, whatever the lot says", () => {
    const order = orderEndpoints([one(3, "c:1", 1000), one(1, "a:1"), one(2, "b:1", 1000)], Math.random);
    assert.deepEqual(order, ["a:1", "b:1", "c:1"]);
  });

  it("spreads clients within a rank by weight", () => {
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    let first = 0;
    for (let i = 0; i < 4000; i++)
      if (orderEndpoints([one(1, "a:1", 3), one(1, "b:1", 1)], random)[0] === "a:1") first++;
    assert.ok(first > 2850 && first < 3150, `${first} of 4000 begin with three quarters`);
  });

  it("names an address once", () => {
    assert.deepEqual(orderEndpoints([one(1, "a:1"), one(2, "a:1"), one(2, "b:1")], Math.random), ["a:1", "b:1"]);
  });
});

/** A fleet of addresses of which the test says which work. */
function setUp(options: { list?: EndpointList; initial?: EndpointList } = {}) {
  const clock = new FakeClock();
  const dialled: string[] = [];
  const asked: string[] = [];
  const faults: unknown[] = [];
  const kept: EndpointList[] = [];
  const works = new Set<string>();
  const made = { count: 0 };
  let list: EndpointList | undefined = options.list;
  const make = (): Transport => {
    made.count++;
    return (url, listener): Socket => {
      dialled.push(url);
      listener.onOpen();
      if (works.has(url)) listener.onData(new Uint8Array(1));
      else listener.onClose(1006, "no");
      return { send: () => undefined, close: () => undefined };
    };
  };
  const transport = endpointTransport({
    ...{ transport: make, clock, random: () => 0.5 },
    ...(options.initial ? { initial: options.initial } : {}),
    fetch: async (url) => {
      asked.push(url);
      if (!list) throw new TypeError("fetch failed");
      return answer(list);
    },
    onList: (fresh) => kept.push(fresh),
    onFault: (error) => faults.push(error),
  });
  /** Each lasts for `lastMs` when it gets through. */
  const dial = async (count = 1, lastMs = 60_000): Promise<string[]> => {
    dialled.length = 0;
    for (let i = 0; i < count; i++) {
      const socket = transport(URL_OWN, idle);
      await settled();
      if (works.has(dialled.at(-1) ?? "")) clock.advance(lastMs);
      socket.close();
    }
    return [...dialled];
  };
  const setList = (fresh: EndpointList | undefined): void => {
    list = fresh;
  };
  return { clock, works, dial, asked, faults, kept, made, transport, setList };
}

const A = "wss://a.example.com:443/ws";
const B = "wss://b.example.com:8443/ws";
const LIST = listOf(one(1, "a.example.com:443"), one(2, "b.example.com:8443"), one(3, "im.example.com:443"));

describe("endpointTransport", () => {
  it("dials the client's own URL while there is no list, and asks for one beside it", async () => {
    const { works, dial, asked, kept } = setUp({ list: LIST });
    works.add(URL_OWN);
    assert.deepEqual(await dial(), [URL_OWN]);
    assert.deepEqual(asked, ["https://im.example.com/v1/endpoints"]);
    assert.deepEqual(kept, [LIST]);
  });

  it("goes down the list by two attempts each, to its own URL, and begins anew", async () => {
    const { dial } = setUp({ initial: LIST });
    for (let round = 0; round < 3; round++)
      assert.deepEqual(await dial(6), [A, A, B, B, URL_OWN, URL_OWN], `round ${round}`);
  });

  it("its own URL is the last, also when it is not on the list", async () => {
    const { dial } = setUp({ initial: listOf(one(1, "a.example.com:443")) });
    assert.deepEqual(await dial(5), [A, A, URL_OWN, URL_OWN, A]);
  });

  it("a list that was kept needs no address that works", async () => {
    const { works, dial, asked } = setUp({ initial: LIST });
    works.add(B);
    assert.deepEqual(await dial(3), [A, A, B]);
    assert.deepEqual(asked, ["https://b.example.com:8443/v1/endpoints"], "asked there, now that something works");
  });

  it("stays with what works, and tries a better one again after ten minutes", async () => {
    const { clock, works, dial } = setUp({ initial: LIST });
    works.add(B);
    await dial(3);
    assert.deepEqual(await dial(3), [B, B, B]);
    clock.advance(10 * MINUTE_MS);
    works.add(A);
    assert.deepEqual(await dial(2), [A, A]);
  });

  it("one failure between successes changes nothing", async () => {
    const { works, dial } = setUp({ initial: LIST });
    for (let i = 0; i < 3; i++) {
      works.add(A);
      assert.deepEqual(await dial(), [A]);
      works.clear();
      assert.deepEqual(await dial(), [A]);
    }
  });

  it("an entry that answers only to say that it is full or leaves does not hold clients", async () => {
    const { works, dial } = setUp({ initial: LIST });
    works.add(A).add(B);
    assert.deepEqual(await dial(3, 4_999), [A, A, B]);
  });

  it("five seconds are a connection", async () => {
    const { works, dial } = setUp({ initial: LIST });
    works.add(A);
    assert.deepEqual(await dial(3, 5_000), [A, A, A]);
  });

  it("dials what a leaving entry names before the list, each once, until one answers", async () => {
    const { works, dial, transport } = setUp({ initial: LIST });
    const [c, d] = ["wss://c.example.com:443/ws", "wss://d.example.com:443/ws"];
    works.add(A);
    transport.prefer?.(["c.example.com:443", "d.example.com:443"]);
    assert.deepEqual(await dial(4), [c, d, A, A]);
    works.add(c);
    transport.prefer?.(["c.example.com:443", "d.example.com:443"]);
    assert.deepEqual(await dial(3), [c, A, A], "the rest of the hint was for that move alone");
    transport.prefer?.([]);
    assert.deepEqual(await dial(), [A]);
  });

  it("takes no hint that is old, is no address, or is known to fail, and not many", async () => {
    const { clock, works, dial, transport, made } = setUp({ initial: LIST });
    works.add(A);
    transport.prefer?.(["c.example.com:443"]);
    clock.advance(10 * MINUTE_MS);
    assert.deepEqual(await dial(), [A], "ten minutes later");
    transport.prefer?.(["", "c", "u@c:1", "c:443/x", "https://c:1", "c:443?x"]);
    assert.deepEqual(await dial(), [A]);
    for (let round = 0; round < 2; round++) {
      transport.prefer?.(["c.example.com:443"]);
      assert.equal((await dial(2)).length, 2);
    }
    transport.prefer?.(["c.example.com:443"]);
    assert.deepEqual(await dial(), [A], "it failed twice");
    transport.prefer?.(Array.from({ length: 100 }, (_, at) => `h${at}.example.com:443`));
    assert.equal((await dial(20)).filter((url) => /\/\/h\d+\./.test(url)).length, 8);
    const before = made.count;
    transport.prefer?.([]);
    transport.prefer?.(["h0.example.com:443"]);
    await dial();
    assert.equal(made.count, before + 1, "what was learned of former hints is forgotten");
  });

  it("asks again when the list is out of date, not before, and not often when nobody has it", async () => {
    const { clock, works, dial, asked, faults, setList } = setUp({ list: LIST });
    works.add(URL_OWN).add(A);
    await dial(1, 0);
    clock.advance(299_999);
    await dial(1, 0);
    assert.equal(asked.length, 1);
    clock.advance(1);
    setList(undefined);
    await dial(3, 0);
    assert.deepEqual([asked.length, faults.length], [2, 1]);
    clock.advance(MINUTE_MS);
    await dial(1, 0);
    assert.deepEqual([asked.length, faults.length], [3, 2]);
  });

  it("a fault of the list is no fault of the connection", async () => {
    const { works, dial, faults } = setUp();
    works.add(URL_OWN);
    assert.deepEqual(await dial(2), [URL_OWN, URL_OWN]);
    assert.ok(faults.length >= 1);
  });

  it("remembers one transport an address, and forgets those that are gone from the list", async () => {
    const { clock, works, dial, made, setList } = setUp({ initial: LIST, list: LIST });
    works.add(URL_OWN).add(A).add(B);
    await dial(3);
    assert.equal(made.count, 1);
    setList(listOf(one(1, "b.example.com:8443")));
    clock.advance(5 * MINUTE_MS);
    await dial(1);
    assert.deepEqual(await dial(1), [B]);
    setList(LIST);
    clock.advance(5 * MINUTE_MS);
    await dial(1);
    assert.deepEqual(await dial(1), [A]);
    assert.equal(made.count, 3, "a was made again, b and a before that once");
  });

  it("passes everything on, and a close after the end counts once", async () => {
    const heard: string[] = [];
    const sent: string[] = [];
    const transport = endpointTransport({
      clock: new FakeClock(),
      initial: LIST,
      fetch: async () => answer(LIST),
      transport: () => (url, listener) => {
        listener.onOpen();
        listener.onData(new Uint8Array([1, 2]));
        listener.onClose(4001, "moved");
        return { send: (bytes) => sent.push(`${url} ${bytes}`), close: () => sent.push("close") };
      },
    });
    const socket = transport(URL_OWN, {
      onOpen: () => heard.push("open"),
      onData: (bytes) => heard.push(String(bytes)),
      onClose: (code, reason) => heard.push(`${code} ${reason}`),
    });
    socket.send(new Uint8Array([7]));
    socket.close();
    assert.deepEqual(heard, ["open", "1,2", "4001 moved"]);
    assert.deepEqual(sent, [`${A} 7`, "close"]);
    transport(URL_OWN, idle).send(new Uint8Array([8]));
    assert.equal(sent.at(-1), `${A} 8`, "one failure, not two");
    await settled();
  });

  it("leaves a URL that it does not understand to the transport", () => {
    const urls: string[] = [];
    const transport = endpointTransport({
      clock: new FakeClock(),
      fetch: async () => answer(LIST),
      transport: () => (url) => {
        urls.push(url);
        throw new TypeError("not mine");
      },
    });
    assert.throws(() => transport("nonsense", idle), /not mine/);
    assert.deepEqual(urls, ["nonsense"]);
  });
});
