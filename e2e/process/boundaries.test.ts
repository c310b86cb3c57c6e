// SPDX-License-Identifier: Apache-2.0
// Input at its limits and one beyond, through a real connection: each refusal has its code and a reason that says what to do.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import {
  ErrorInfo,
  History,
  HistoryPage,
  Presence,
  PresenceAsk,
  PresenceSub,
  PushAck,
  Send,
  SendAck,
  Snapshot,
  SnapshotPage,
  Sync,
  SyncPage,
  Welcome,
} from "#proto/gen/messages.ts";
import { waitUntil } from "../harness/processes.ts";
import { useFleet } from "./fleet-suite.ts";
import { RawConnection } from "./raw-connection.ts";

const MAX = Number.MAX_SAFE_INTEGER;
/** Of a request that is refused as BUSY: on a machine that was held up for a moment. */
const MAX_TRIES = 20;
/** Field 2 as a careless client writes -1: the encoder of these tests would write 0. */
const MINUS_ONE = Buffer.from("10ffffffffffffffffff01", "hex");
const text = (length: number): string => "x".repeat(length);

describe("input at its limits", () => {
  const fleet = useFleet({ entries: 1, logics: 1, logicEnv: { IM_PRESENCE_VISIBLE_TO: "peers" } });
  let rids = 1;
  let users = 0;

  async function online(user = `user-${++users}`): Promise<{ raw: RawConnection; user: string; epoch: string }> {
    const raw = await RawConnection.open(fleet(), "plain");
    raw.hello(await fleet().tokens.mint(user));
    const { inboxEpoch: epoch } = Welcome.decode((await raw.frame(Command.WELCOME)).body);
    return { raw, user, epoch };
  }

  /** The answer to a request: its body, or the error; asked again where that is what the answer says. */
  async function ask(raw: RawConnection, cmd: number, body: Uint8Array, reply: number): Promise<Buffer | ErrorInfo> {
    for (let tries = 0; ; tries++) {
      const rid = ++rids;
      const find = () => raw.frames.find((frame) => frame.rid === rid && [reply, Command.ERROR].includes(frame.cmd));
      raw.send(cmd, rid, body);
      await waitUntil(`an answer to command ${cmd}`, () => find() !== undefined, 30_000);
      const frame = find() ?? assert.fail();
      if (frame.cmd !== Command.ERROR) return frame.body;
      const error = ErrorInfo.decode(frame.body);
      if (!error.retryable || tries === MAX_TRIES) return error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
    }
  }

  const send = (raw: RawConnection, fields: Partial<Send>): Promise<Buffer | ErrorInfo> =>
    ask(raw, Command.SEND, Send.encode({ clientMessageId: `m-${++rids}`, ...fields }), Command.SEND_ACK);

  function assertRefused(answer: Buffer | ErrorInfo, code: number, reason: RegExp): ErrorInfo {
    assert.ok(!Buffer.isBuffer(answer), "it was accepted");
    assert.equal(answer.code, code, answer.reason);
    assert.match(answer.reason, reason);
    assert.equal(answer.retryable, false);
    return answer;
  }

  const SENDS: [string, Partial<Send>, number, RegExp | undefined][] = [
    ["content of 65,536 bytes", { content: new Uint8Array(65_536) }, 0, undefined],
    ["content of 65,537 bytes", { content: new Uint8Array(65_537) }, ErrorCode.TOO_LARGE, /larger than 65536/],
    ["no content", { content: new Uint8Array(0) }, 0, undefined],
    ["a client id of 64 characters", { clientMessageId: text(64) }, 0, undefined],
    ["a client id of 65", { clientMessageId: text(65) }, ErrorCode.BAD_REQUEST, /1 to 64 characters/],
    ["an empty client id", { clientMessageId: "" }, ErrorCode.BAD_REQUEST, /1 to 64 characters/],
    ["a client id of one character", { clientMessageId: "x" }, 0, undefined],
    ["a recipient of 64 characters", { to: text(64) }, 0, undefined],
    ["a recipient of 65", { to: text(65) }, ErrorCode.BAD_REQUEST, /no user id/],
    ["a content type of 64 characters", { contentType: text(64) }, 0, undefined],
    ["a content type of 65", { contentType: text(65) }, ErrorCode.BAD_REQUEST, /longer than 64/],
    ["no recipient", { to: "" }, ErrorCode.BAD_REQUEST, /no recipient/],
    ["two recipients", { conversationId: "c_1" }, ErrorCode.BAD_REQUEST, /two recipients/],
    ["a conversation id of 65", { to: "", conversationId: text(65) }, ErrorCode.BAD_REQUEST, /longer than 64/],
  ];
  for (const [what, fields, code, reason] of SENDS) {
    it(`SEND with ${what}`, async () => {
      const { raw } = await online();
      const answer = await send(raw, { to: "peer", content: Buffer.from("x"), ...fields });
      if (reason) assertRefused(answer, code, reason);
      else assert.ok(Buffer.isBuffer(answer) && SendAck.decode(answer).convSeq === 1);
      raw.destroy();
    });
  }

  it("SEND with a key that holds another body names the first message, and the first one stays", async () => {
    const { raw } = await online();
    const first = await send(raw, { to: "peer", clientMessageId: "key", content: Buffer.from("one") });
    assert.ok(Buffer.isBuffer(first));
    const { messageId } = SendAck.decode(first);
    const others: Partial<Send>[] = [
      { to: "peer", content: Buffer.from("two") },
      { to: "other", content: Buffer.from("one") },
      { to: "peer", content: Buffer.from("one"), contentType: "text/html" },
    ];
    for (const other of others) {
      const refused = assertRefused(
        await send(raw, { clientMessageId: "key", ...other }),
        ErrorCode.CONFLICT,
        /new one/,
      );
      assert.deepEqual([refused.messageId, refused.clientMessageId], [messageId, "key"]);
    }
    const again = await send(raw, { to: "peer", clientMessageId: "key", content: Buffer.from("one") });
    assert.ok(Buffer.isBuffer(again));
    assert.deepEqual([SendAck.decode(again).messageId, SendAck.decode(again).duplicate], [messageId, true]);
    raw.destroy();
  });

  it("a conversation of others is answered like one that does not exist, to SEND and to HISTORY", async () => {
    const [alice, eve] = [await online(), await online()];
    const first = await send(alice.raw, { to: "peer", content: Buffer.from("x") });
    assert.ok(Buffer.isBuffer(first));
    const { conversationId } = SendAck.decode(first);
    for (const cmd of ["send", "history"] as const) {
      const answers: (string | number)[][] = [];
      for (const id of [conversationId, "c_unknown"]) {
        const answer =
          cmd === "send"
            ? await send(eve.raw, { conversationId: id })
            : await ask(eve.raw, Command.HISTORY, History.encode({ conversationId: id }), Command.HISTORY_PAGE);
        const { code, reason } = assertRefused(answer, ErrorCode.PERMISSION_DENIED, /not a member/);
        answers.push([code, reason]);
      }
      assert.deepEqual(answers[0], answers[1]);
    }
    const own = await ask(alice.raw, Command.HISTORY, History.encode({ conversationId }), Command.HISTORY_PAGE);
    assert.ok(Buffer.isBuffer(own) && HistoryPage.decode(own).events.length === 1);
    alice.raw.destroy();
    eve.raw.destroy();
  });

  it("cursors that cannot be are refused, the head itself is not", async () => {
    const { raw, epoch } = await online();
    for (let n = 0; n < 3; n++) await send(raw, { to: "peer", content: Buffer.from("x") });
    const sync = (fields: Partial<Sync>) => ask(raw, Command.SYNC, Sync.encode(fields), Command.SYNC_PAGE);
    const wrong: [Partial<Sync>, RegExp][] = [
      [{ inboxEpoch: epoch, cursor: 4 }, /ahead of the inbox head/],
      [{ inboxEpoch: epoch, cursor: MAX }, /ahead of the inbox head/],
      [{ inboxEpoch: epoch, cursor: MAX + 1 }, /no inbox seq/],
      [{ inboxEpoch: epoch, cursor: 2 ** 63 }, /no inbox seq/],
      [{ inboxEpoch: "another", cursor: 0 }, /another inbox epoch/],
      [{ inboxEpoch: "", cursor: 1 }, /another inbox epoch/],
    ];
    for (const [fields, reason] of wrong) assertRefused(await sync(fields), ErrorCode.CURSOR_INVALID, reason);
    const negative = Buffer.concat([Sync.encode({ inboxEpoch: epoch }), MINUS_ONE]);
    const answer = await ask(raw, Command.SYNC, negative, Command.SYNC_PAGE);
    assertRefused(answer, ErrorCode.CURSOR_INVALID, /no inbox seq/);
    for (const [cursor, events] of [
      [3, 0],
      [2, 1],
      [0, 3],
    ] as const) {
      const page = await sync({ inboxEpoch: epoch, cursor });
      assert.ok(Buffer.isBuffer(page) && SyncPage.decode(page).events.length === events, `cursor ${cursor}`);
    }
    raw.destroy();
  });

  it("positions of HISTORY and SNAPSHOT that cannot be are refused", async () => {
    const { raw, epoch } = await online();
    const first = await send(raw, { to: "peer", content: Buffer.from("x") });
    assert.ok(Buffer.isBuffer(first));
    const { conversationId } = SendAck.decode(first);
    const history = (fields: Partial<History>) =>
      ask(raw, Command.HISTORY, History.encode(fields), Command.HISTORY_PAGE);
    assertRefused(await history({ conversationId, from: MAX + 1 }), ErrorCode.BAD_REQUEST, /no conv_seq/);
    const negative = Buffer.concat([History.encode({ conversationId }), MINUS_ONE]);
    const answer = await ask(raw, Command.HISTORY, negative, Command.HISTORY_PAGE);
    assertRefused(answer, ErrorCode.BAD_REQUEST, /no conv_seq/);
    assertRefused(await history({ conversationId: "" }), ErrorCode.BAD_REQUEST, /1 to 64 characters/);
    assertRefused(await history({ conversationId: text(65) }), ErrorCode.BAD_REQUEST, /1 to 64 characters/);
    const ahead = await history({ conversationId, from: MAX, forward: true });
    assert.ok(Buffer.isBuffer(ahead) && HistoryPage.decode(ahead).events.length === 0);
    const snapshot = (fields: Partial<Snapshot>) =>
      ask(raw, Command.SNAPSHOT, Snapshot.encode(fields), Command.SNAPSHOT_PAGE);
    assertRefused(await snapshot({ before: MAX + 1 }), ErrorCode.BAD_REQUEST, /no inbox seq/);
    assertRefused(await snapshot({ inboxEpoch: "another" }), ErrorCode.CURSOR_INVALID, /another inbox epoch/);
    const page = await snapshot({ inboxEpoch: epoch, limit: 4_000_000_000, limitBytes: 4_000_000_000 });
    assert.ok(Buffer.isBuffer(page) && SnapshotPage.decode(page).heads.length === 1);
    raw.destroy();
  });

  it("PRESENCE for 100 users and PRESENCE_SUB for 200, each an id of 64 characters; not one more of either", async () => {
    const { raw } = await online();
    const ids = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at).padStart(64, "u"));
    const asks = (userIds: string[]) => ask(raw, Command.PRESENCE, PresenceAsk.encode({ userIds }), Command.PRESENCE);
    const watches = (userIds: string[]) =>
      ask(raw, Command.PRESENCE_SUB, PresenceSub.encode({ userIds }), Command.PRESENCE);
    for (const [request, most] of [
      [asks, 100],
      [watches, 200],
    ] as const) {
      const answer = await request(ids(most));
      assert.ok(Buffer.isBuffer(answer));
      assert.deepEqual(
        Presence.decode(answer).peers.map(({ userId, online: isOnline }) => [userId, isOnline]),
        ids(most).map((id) => [id, false]),
      );
      assertRefused(await request(ids(most + 1)), ErrorCode.BAD_REQUEST, new RegExp(`more than ${most} users`));
      for (const wrong of [text(65), "", "a b", "a\0"])
        assertRefused(await request(["peer", wrong]), ErrorCode.BAD_REQUEST, /no user id/);
      const none = await request([]);
      assert.ok(Buffer.isBuffer(none) && Presence.decode(none).peers.length === 0);
    }
    raw.destroy();
  });

  it("pages stay below the frame limit whatever is wished for", async () => {
    const { raw, epoch } = await online();
    for (let n = 0; n < 8; n++) await send(raw, { to: "peer", content: new Uint8Array(65_536) });
    const seen: number[] = [];
    for (let cursor = 0, more = true; more; ) {
      const wish = { inboxEpoch: epoch, cursor, limit: 4_000_000_000, limitBytes: 4_000_000_000 };
      const answer = await ask(raw, Command.SYNC, Sync.encode(wish), Command.SYNC_PAGE);
      assert.ok(Buffer.isBuffer(answer) && answer.length < 256 * 1024 - 64);
      const page = SyncPage.decode(answer);
      seen.push(...page.events.map((event) => event.inboxSeq));
      ({ nextCursor: cursor, more } = page);
    }
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8]);
    raw.destroy();
  });

  it("an acknowledgement beyond what was sent counts up to the head, and for its own device only", async () => {
    const { raw, user, epoch } = await online();
    const other = await RawConnection.open(fleet(), "plain");
    other.hello(await fleet().tokens.mint(user), 1, { deviceId: "other", platform: "web" });
    await other.frame(Command.WELCOME);
    for (let n = 0; n < 2; n++) await send(raw, { to: "peer", content: Buffer.from("x") });
    const ack = (inboxSeq: number): void => raw.send(Command.PUSH_ACK, ++rids, PushAck.encode({ inboxSeq }));
    ack(1000);
    assertRefused(
      await ask(raw, Command.PUSH_ACK, PushAck.encode({ inboxSeq: MAX + 1 }), Command.SEND_ACK),
      ErrorCode.CURSOR_INVALID,
      /no inbox seq/,
    );
    await send(raw, { to: "peer", content: Buffer.from("third") });
    const third = await ask(raw, Command.SYNC, Sync.encode({ inboxEpoch: epoch, cursor: 2 }), Command.SYNC_PAGE);
    assert.ok(Buffer.isBuffer(third) && SyncPage.decode(third).events.length === 1, "nothing was skipped");
    const whole = await ask(other, Command.SYNC, Sync.encode({ inboxEpoch: epoch, cursor: 0 }), Command.SYNC_PAGE);
    assert.ok(Buffer.isBuffer(whole) && SyncPage.decode(whole).events.length === 3, "the other device has everything");
    raw.destroy();
    other.destroy();
  });
});
