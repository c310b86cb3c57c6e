// SPDX-License-Identifier: Apache-2.0
// Every command of a client x everybody who may send it, on PostgreSQL: no cell is left out.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Edit, ErrorInfo, GroupReply, Recall, Send } from "#proto/gen/messages.ts";
import { COMMAND_ROWS, type CommandRow, LARGE_ROWS } from "./command-rows-kit.ts";
import {
  AuthzLogic,
  CALLERS,
  type Caller,
  LARGE_CROWD,
  makeWorld,
  type Outcome,
  SECRETS,
  type Target,
  unknownTarget,
  type World,
} from "./world-kit.ts";

const nameOf = (command: Command): string =>
  Object.entries(Command).find(([, number]) => number === command)?.[0] ?? String(command);

/** All cells of `rows`, in worlds whose group has so many others in it. */
function matrix(rows: readonly CommandRow[], crowd: number): void {
  let logic: AuthzLogic;
  let shared: Promise<World> | undefined;
  let cells = 0;
  before(async () => {
    logic = await AuthzLogic.open();
  });
  after(async () => {
    console.log(`${cells} cells of ${rows.length} uses and ${CALLERS.length} callers`);
    await logic.close();
  });

  /** The answer in words that are the same for every target. */
  interface Told extends Omit<Outcome, "reply" | "bytes"> {
    readonly error: ErrorInfo | undefined;
    readonly answer: string;
    readonly bytes: Buffer;
  }

  async function tell(row: CommandRow, world: World, caller: Caller, target: Target): Promise<Told> {
    const [requestId, guest] = [randomUUID(), `guest-${randomUUID().slice(0, 8)}`];
    const body = await row.body({ logic, userId: world.users[caller], target, requestId, guest });
    const { reply, ...outcome } = await logic.run(world.conns[caller], { cmd: row.command, body });
    const error = reply?.cmd === Command.ERROR ? ErrorInfo.decode(reply.body) : undefined;
    const said =
      reply === undefined ? "nothing" : JSON.stringify([reply.cmd, reply.flags, error ?? row.codec.decode(reply.body)]);
    const answer = [
      [target.conversationId, "<conversation>"],
      [target.itemId, "<item>"],
      [target.pairId, "<pair>"],
      [target.userId, "<user>"],
      [requestId, "<request>"],
      [guest, "<guest>"],
    ].reduce((text, [id = "", word = ""]) => text.replaceAll(id, word), said);
    return { ...outcome, error, answer };
  }

  function isUntouched({ statements, told }: Told): void {
    assert.deepEqual(statements, [], "the store was asked");
    assert.equal(told, 0, "somebody was told");
  }

  async function check(row: CommandRow, world: World, caller: Caller): Promise<void> {
    const told = await tell(row, world, caller, world.target);
    const isInGroup = caller === "owner" || caller === "member";
    if (row.shows && isInGroup) assert.ok(told.bytes.includes(row.shows), `it does not say: ${row.shows}`);
    for (const secret of isInGroup ? [] : SECRETS) assert.ok(!told.bytes.includes(secret), `it says: ${secret}`);
    switch (row.expect[caller]) {
      case "done":
        assert.equal(told.error, undefined, told.answer);
        assert.notEqual(told.answer, "nothing");
        return;
      case "unheard": {
        assert.equal(told.error, undefined, told.answer);
        assert.equal(told.told, 0, "somebody was told");
        // What is remembered after the first time is as good for the others.
        const again = await tell(row, world, caller, world.target);
        const unknown = await tell(row, world, caller, unknownTarget());
        if (unknown.error) return;
        assert.equal(again.statements.length, unknown.statements.length, "as many statements take the same time");
        return;
      }
      case "refused":
        assert.ok(told.error && !told.error.retryable && told.error.code !== ErrorCode.UNKNOWN_COMMAND, told.answer);
        assert.equal(told.told, 0, "somebody was told");
        return;
      case "hidden": {
        const unknown = await tell(row, world, caller, unknownTarget());
        assert.equal(told.answer, unknown.answer);
        assert.deepEqual(told.statements, unknown.statements, "the same statements take the same time");
        assert.deepEqual([told.told, unknown.told], [0, 0], "somebody was told");
        return;
      }
      case "unknown":
        assert.equal(told.error?.code, ErrorCode.UNKNOWN_COMMAND, told.answer);
        return isUntouched(told);
      case "silent":
        assert.equal(told.answer, "nothing");
        return isUntouched(told);
      case "unbound":
        assert.equal(told.error?.code, ErrorCode.RETRYABLE, told.answer);
        assert.match(told.answer, /does not know the session/);
        return isUntouched(told);
    }
  }

  for (const row of rows)
    for (const caller of CALLERS)
      it(`${nameOf(row.command)} ${row.use} x ${caller}: ${row.expect[caller]}`, async () => {
        // What is not done leaves the world as it is.
        shared ??= makeWorld(logic, crowd);
        const world = row.expect[caller] === "done" ? await makeWorld(logic, crowd) : await shared;
        await check(row, world, caller);
        cells++;
      });
}

describe("the matrix of commands and callers", () => matrix(COMMAND_ROWS, 0));

describe("the matrix of commands and callers for a large group", () => {
  matrix(LARGE_ROWS, LARGE_CROWD);

  it("shows what is said and changed there to who is in it, and to nobody who was or never was", async () => {
    const logic = await AuthzLogic.open();
    const { conns, target } = await makeWorld(logic, LARGE_CROWD);
    const [member, others] = [conns.member, [conns.exMember, conns.stranger, conns.blocked, conns.service]];
    const framesTo = (conn: number) => logic.entry.inbox.filter((record) => record.conn === conn);
    const { conversationId, message } = target;
    const text = Buffer.from("for members only");
    const asks = [
      { cmd: Command.SEND, body: Send.encode({ conversationId, clientMessageId: "s", content: text }) },
      {
        cmd: Command.EDIT,
        body: Edit.encode({ conversationId, ...message, clientMessageId: "e", version: 1, content: text }),
      },
      { cmd: Command.RECALL, body: Recall.encode({ conversationId, ...message, clientMessageId: "r" }) },
    ];
    for (const ask of asks) {
      const { reply } = await logic.run(conns.owner, ask);
      assert.notEqual(reply?.cmd, Command.ERROR);
      const [frame, ...more] = framesTo(member);
      assert.deepEqual([frame?.cmd, more.length], [Command.GROUP, 0]);
      const events = GroupReply.decode(frame?.body ?? Buffer.alloc(0)).events;
      assert.equal(events.length, 1);
      assert.equal(Buffer.from(events[0]?.content ?? []).includes(text), ask.cmd !== Command.RECALL);
      for (const conn of others) assert.deepEqual(framesTo(conn), [], `${ask.cmd} to ${conn}`);
    }
    await logic.close();
  });
});
