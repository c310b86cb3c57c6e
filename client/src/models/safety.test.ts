// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import { ChatCommand } from "./chat-commands.ts";
import { Safety } from "./safety.ts";
import { Block, BlockList, Report, Reported } from "./safety-codec.ts";

type Frame = { cmd: number; body: Uint8Array };

/** A server with the list of one user. */
function setUp() {
  const server = { version: 0, blocked: new Set<string>(), failure: undefined as ImClientError | undefined };
  const asked: Block[] = [];
  const reports: Report[] = [];
  const heard: (readonly string[])[] = [];
  const errors: ImClientError[] = [];
  let onFrame: (frame: Frame) => void = () => undefined;
  const safety = new Safety(
    {
      on: ((_: string, listener: typeof onFrame) => {
        onFrame = listener;
        return () => {
          onFrame = () => undefined;
        };
      }) as never,
      request: async (cmd, body) => {
        if (server.failure) throw server.failure;
        if (cmd === ChatCommand.REPORT) {
          reports.push(Report.decode(body));
          return Reported.encode({});
        }
        assert.equal(cmd, ChatCommand.BLOCK);
        const request = Block.decode(body);
        asked.push(request);
        for (const userId of request.block) server.blocked.add(userId);
        for (const userId of request.unblock) server.blocked.delete(userId);
        if (request.block.length + request.unblock.length > 0) server.version++;
        const complete = server.version !== request.version;
        return BlockList.encode({
          ...{ version: server.version, complete, userIds: complete ? [...server.blocked].sort() : [] },
        });
      },
    },
    { onBlocked: (userIds) => void heard.push(userIds), onError: (error) => void errors.push(error) },
  );
  const tell = async (version: number): Promise<void> => {
    onFrame({ cmd: ChatCommand.BLOCK, body: BlockList.encode({ version }) });
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { safety, server, asked, reports, heard, errors, tell };
}

describe("Safety", () => {
  it("blocks, unblocks, and asks for the list only if it is another one", async () => {
    const { safety, asked, heard } = setUp();
    assert.deepEqual(await safety.blocked(), []);
    assert.deepEqual(await safety.block(["bob", "carol"]), ["bob", "carol"]);
    assert.deepEqual([safety.isBlocked("bob"), safety.isBlocked("dave")], [true, false]);
    assert.deepEqual(await safety.unblock(["bob"]), ["carol"]);
    assert.deepEqual(await safety.blocked(), ["carol"]);
    assert.deepEqual(heard, [["bob", "carol"], ["carol"]]);
    assert.deepEqual(
      asked.map(({ version }) => version),
      [0, 0, 1, 2],
    );
  });

  it("asks again when another device has changed the list, and not for its own change", async () => {
    const { safety, server, asked, heard, tell } = setUp();
    await safety.block(["bob"]);
    await tell(1);
    assert.equal(asked.length, 1);
    server.blocked.add("eve");
    server.version = 2;
    await tell(2);
    assert.deepEqual([asked.length, heard.at(-1)], [2, ["bob", "eve"]]);
    safety.close();
    await tell(3);
    assert.equal(asked.length, 2);
  });

  it("reports messages and users, and appeals with what was refused", async () => {
    const { safety, reports } = setUp();
    await safety.report({ reason: "fraud", conversationId: "c", convSeq: 3, messageId: "m", text: "look" });
    await safety.report({ reason: "spam", userId: "bob" }, { reportId: "r" });
    await safety.appeal({ rule: "contact", to: "bob", content: "139" });
    const [first, second, third] = reports;
    assert.match(first?.reportId ?? "", /^[0-9a-f]{32}$/);
    assert.deepEqual([first?.conversationId, first?.convSeq, first?.messageId, first?.text], ["c", 3, "m", "look"]);
    assert.deepEqual([second?.reportId, second?.userId, second?.reason], ["r", "bob", "spam"]);
    const content = new TextDecoder().decode(third?.content);
    assert.deepEqual([third?.rule, third?.userId, content], ["contact", "bob", "139"]);
  });

  it("tells when it could not ask", async () => {
    const { server, errors, tell } = setUp();
    server.failure = new ImClientError(ErrorCode.BUSY, "later");
    await tell(1);
    assert.deepEqual(
      errors.map(({ code }) => code),
      [ErrorCode.BUSY],
    );
  });
});
