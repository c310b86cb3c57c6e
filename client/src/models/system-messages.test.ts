// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../lib/clock.ts";
import type { ImClientError } from "../errors.ts";
import { type ClientEvents, Emitter } from "../events.ts";
import { SysPage, SysPull, type SystemMessage as WireMessage } from "./broadcasts-codec.ts";
import { ChatCommand } from "./chat-commands.ts";
import { type SystemMessage, SystemMessages, type SystemPosition } from "./system-messages.ts";

const EPOCH = "e-1";
const bytesOf = (words: string): Uint8Array => new TextEncoder().encode(words);
const message = (seq: number, fields: Partial<WireMessage> = {}): WireMessage => ({
  ...{ seq, broadcastId: `b-${seq}`, contentType: "text/plain", content: bytesOf(`text ${seq}`) },
  ...{ urgent: false, notBeforeMs: 1, notAfterMs: 2, ...fields },
});

/** What a server has, and the user's place there. */
function setUp(stored?: SystemPosition) {
  const clock = new FakeClock();
  const events = new Emitter<ClientEvents>();
  const server = { epoch: EPOCH, messages: [] as WireMessage[], head: 0, watermark: 0, pageSize: 10, isAway: false };
  const pulls: Partial<SysPull>[] = [];
  const saved: SystemPosition[] = stored ? [stored] : [];
  const shown: SystemMessage[] = [];
  const errors: ImClientError[] = [];
  const client = {
    userId: "ann",
    on: events.on.bind(events),
    request: async (cmd: number, body: Uint8Array) => {
      assert.equal(cmd, ChatCommand.SYS_PULL);
      if (server.isAway) throw new Error("away");
      const pull = SysPull.decode(body);
      pulls.push(pull);
      const isOwn = pull.inboxEpoch === server.epoch;
      if (isOwn) server.watermark = Math.max(server.watermark, pull.position);
      const from = isOwn ? pull.position : server.watermark;
      const { epoch: inboxEpoch, head } = server;
      if (pull.acknowledgeOnly) return SysPage.encode({ inboxEpoch, nextPosition: from, head });
      const behind = server.messages.filter(({ seq }) => seq > from);
      const messages = behind.slice(0, server.pageSize);
      const more = messages.length < behind.length;
      return SysPage.encode({
        inboxEpoch,
        messages,
        nextPosition: more ? (messages.at(-1)?.seq ?? from) : head,
        head,
        more,
      });
    },
  };
  const make = () =>
    new SystemMessages(client, {
      onMessage: (one) => void shown.push(one),
      onError: (error) => void errors.push(error),
      store: { load: async () => saved.at(-1), save: async (position) => void saved.push(position) },
      ...{ clock, random: () => 0.5, spreadMs: 1000 },
    });
  const settle = async (ms = 0) => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (ms > 0) clock.advance(ms);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const head = (value: number) => {
    server.head = value;
    events.emit("sysHead", value);
  };
  const push = (...messages: WireMessage[]) => {
    const body = SysPage.encode({ inboxEpoch: server.epoch, messages });
    events.emit("frame", { cmd: ChatCommand.SYS_PAGE, body });
  };
  const seqs = () => shown.map(({ seq }) => seq);
  return { clock, events, client, server, pulls, saved, shown, errors, make, settle, head, push, seqs };
}

describe("SystemMessages", () => {
  it("asks when there is something new, a little later, hands out once, saves, and then acknowledges", async () => {
    const { make, server, settle, head, shown, saved, pulls } = setUp();
    using system = make();
    server.messages.push(message(2), message(4));
    head(5);
    await settle(400);
    assert.deepEqual(pulls, [], "not everybody at once");
    await settle(200);
    const [first] = shown;
    assert.ok(first);
    const { content, ...rest } = first;
    assert.deepEqual(rest, {
      ...{ seq: 2, broadcastId: "b-2", contentType: "text/plain", text: "text 2", urgent: false },
      ...{ notBeforeMs: 1, notAfterMs: 2 },
    });
    assert.deepEqual(content, bytesOf("text 2"));
    assert.deepEqual(
      shown.map(({ seq }) => seq),
      [2, 4],
    );
    assert.deepEqual([system.position, server.watermark], [5, 5]);
    assert.deepEqual(saved, [{ userId: "ann", epoch: EPOCH, position: 5, ahead: [] }]);
    assert.deepEqual(
      pulls.map(({ acknowledgeOnly }) => acknowledgeOnly),
      [false, true],
    );
    head(5);
    await settle(2000);
    assert.equal(pulls.length, 2, "nothing is new");
  });

  it("goes on page by page", async () => {
    const { make, server, settle, head, seqs, pulls } = setUp();
    using system = make();
    server.pageSize = 2;
    server.messages.push(...[1, 2, 3, 4, 5].map((seq) => message(seq)));
    head(5);
    await settle(600);
    assert.deepEqual([seqs(), system.position], [[1, 2, 3, 4, 5], 5]);
    assert.deepEqual(
      pulls.map(({ position }) => position),
      [0, 2, 4, 5],
    );
  });

  it("shows an urgent one that came before its first pull, though the answer does not know of it", async () => {
    const { make, server, settle, head, push, seqs, saved } = setUp();
    using system = make();
    server.watermark = 4;
    head(4);
    push(message(4, { urgent: true }), message(5, { urgent: true }), message(7, { urgent: true }));
    await settle(100);
    assert.deepEqual(seqs(), [], "it may have had them");
    await settle(600);
    assert.deepEqual([seqs(), system.position], [[5, 7], 5]);
    assert.deepEqual(saved.at(-1)?.ahead, [7]);
    server.messages.push(message(5), message(6), message(7));
    head(7);
    await settle(1100);
    assert.deepEqual([seqs(), system.position, server.watermark], [[5, 7, 6], 7, 7]);
  });

  it("forgets what was pushed early by a database that is another one by the time of the pull", async () => {
    const { make, server, settle, head, push, seqs } = setUp();
    using system = make();
    head(4);
    push(message(5, { urgent: true }));
    server.epoch = "e-2";
    await settle(600);
    assert.deepEqual([seqs(), system.position], [[], 4]);
  });

  it("begins where this device was, and without a position where its user is", async () => {
    const kept = setUp({ userId: "ann", epoch: EPOCH, position: 3, ahead: [5] });
    using _one = kept.make();
    kept.server.watermark = 9;
    kept.server.messages.push(...[3, 4, 5, 6].map((seq) => message(seq)));
    kept.head(6);
    await kept.settle(600);
    assert.deepEqual(kept.seqs(), [4, 6], "another device has acknowledged them, this one has not shown them");
    for (const stored of [undefined, { userId: "bob", epoch: EPOCH, position: 1, ahead: [] }]) {
      const fresh = setUp(stored);
      using _other = fresh.make();
      fresh.server.watermark = 5;
      fresh.server.messages.push(...[3, 4, 5, 6].map((seq) => message(seq)));
      fresh.head(6);
      await fresh.settle(600);
      assert.deepEqual([fresh.seqs(), fresh.pulls[0]?.inboxEpoch], [[6], ""]);
    }
  });

  it("that was there before the first one gets it, although another device of the user was faster", async () => {
    const { server, make, settle, head, seqs } = setUp();
    make();
    head(0);
    await settle(1000);
    server.messages.push(message(1), message(2));
    server.watermark = 2;
    head(2);
    await settle(1000);
    assert.deepEqual(seqs(), [1, 2]);
  });

  it("knows after a restart, too, that it was there before the first one", async () => {
    const { server, make, settle, head, seqs, saved } = setUp();
    const before = make();
    head(0);
    await settle(1000);
    before.close();
    assert.deepEqual(saved, [{ userId: "ann", epoch: EPOCH, position: 0, ahead: [] }]);
    server.messages.push(message(1), message(2));
    server.watermark = 2;
    using _again = make();
    head(2);
    await settle(1000);
    assert.deepEqual(seqs(), [1, 2]);
  });

  it("shows what is urgent at once, and once, whatever comes before it", async () => {
    const { make, server, settle, head, push, seqs, saved } = setUp();
    using system = make();
    head(0);
    await settle();
    push(message(1, { urgent: true }));
    await settle();
    assert.deepEqual([seqs(), system.position], [[1], 1]);
    push(message(1, { urgent: true }));
    push(message(4, { urgent: true }));
    await settle();
    assert.deepEqual([seqs(), system.position, saved.at(-1)?.ahead], [[1, 4], 1, [4]]);
    server.messages.push(...[1, 2, 4, 5].map((seq) => message(seq)));
    server.head = 5;
    await settle(600);
    assert.deepEqual([seqs(), system.position, server.watermark], [[1, 4, 2, 5], 5, 5]);
    assert.deepEqual(saved.at(-1)?.ahead, []);
  });

  it("asks first when it does not know where it is, and when a push was dropped", async () => {
    const { make, server, settle, head, push, seqs, events } = setUp();
    using _system = make();
    head(3);
    server.watermark = 3;
    server.messages.push(message(3), message(4, { urgent: true }));
    server.head = 4;
    push(message(4, { urgent: true }));
    await settle();
    assert.deepEqual(seqs(), []);
    await settle(600);
    assert.deepEqual(seqs(), [4]);
    server.messages.push(message(5));
    server.head = 5;
    events.emit("frame", { cmd: ChatCommand.SYS_PAGE, body: new Uint8Array(0) });
    await settle(600);
    assert.deepEqual(seqs(), [4, 5]);
  });

  it("begins anew with a database that was restored", async () => {
    const { make, server, settle, head, seqs, events, saved } = setUp({
      userId: "ann",
      epoch: EPOCH,
      position: 7,
      ahead: [],
    });
    using _system = make();
    head(7);
    await settle();
    Object.assign(server, { epoch: "e-2", watermark: 2 });
    events.emit("reset", { epoch: "e-2" });
    server.messages.push(message(2), message(3));
    head(3);
    await settle(600);
    assert.deepEqual(seqs(), [3]);
    assert.deepEqual(saved.at(-1), { userId: "ann", epoch: "e-2", position: 3, ahead: [] });
  });

  it("tells of failures, goes on with the next head, and is silent when closed", async () => {
    const { make, server, settle, head, seqs, errors, clock } = setUp();
    const system = make();
    server.messages.push(message(1));
    server.isAway = true;
    head(1);
    await settle(600);
    assert.deepEqual(
      errors.map(({ message: words }) => words),
      ["away"],
    );
    server.isAway = false;
    head(1);
    await settle(600);
    assert.deepEqual(seqs(), [1]);
    server.messages.push(message(2));
    head(2);
    system.close();
    await settle(600);
    assert.deepEqual([seqs(), clock.pending], [[1], 0]);
  });
});
