// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "../codes.ts";
import { type ClientEvents, Emitter, InboxMessage, type Message } from "../events.ts";
import { Changes } from "./changes.ts";
import { CardAction, CardActionResult, Change, Changed, Edit, Recall } from "./changes-codec.ts";
import { ChatCommand } from "./chat-commands.ts";
import type { ShownMessage } from "./shown-messages.ts";

const TARGET = { conversationId: "c", convSeq: 4, messageId: "m-4" };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A client that answers as it is told. */
function setUp(answer: Uint8Array = new Uint8Array(0)) {
  const events = new Emitter<ClientEvents>();
  const asked: { cmd: number; body: Uint8Array; signal: AbortSignal | undefined }[] = [];
  const shown: ShownMessage[] = [];
  const client = {
    userId: "bob",
    on: events.on.bind(events),
    request: async (cmd: number, body: Uint8Array, { signal }: { signal?: AbortSignal } = {}): Promise<Uint8Array> => {
      asked.push({ cmd, body, signal });
      return answer;
    },
  };
  const changes = new Changes(client, { onShown: (message) => void shown.push(message) });
  return { events, asked, shown, changes };
}

function message(convSeq: number, contentType: string, content: Uint8Array): Message {
  return new InboxMessage(
    {
      ...{ inboxSeq: convSeq, conversationId: "c", convSeq, messageId: `m-${convSeq}`, sender: "alice" },
      ...{ sentAtMs: 1, clientMessageId: "", contentType, content },
    },
    "bob",
  );
}

describe("the model of changes", () => {
  it("shows messages and tells of each that is to be shown in another way", () => {
    const { events, shown, changes } = setUp();
    events.emit("message", message(4, "text/plain", bytes("one")));
    const change = Change.encode({ convSeq: 4, messageId: "m-4", version: 2, kind: 2, content: bytes("two") });
    events.emit("message", message(5, "im/change", change));
    events.emit("message", message(5, "im/change", change));
    assert.deepEqual(
      shown.map(({ convSeq, version, content }) => `${convSeq} ${version} ${new TextDecoder().decode(content)}`),
      ["4 1 one", "4 2 two"],
    );
    assert.equal(changes.list("c")[0], shown[1]);
    assert.equal(changes.find("c", 4), shown[1]);
    assert.ok(changes.state.has("c"));
    changes.forget("c");
    assert.deepEqual([changes.list("c"), changes.find("c", 4)], [[], undefined]);
  });

  it("takes pages of history and the last messages of a snapshot", () => {
    const { events, changes } = setUp();
    changes.add([message(4, "text/plain;im-version=3", bytes("three"))]);
    const conversation = { conversationId: "c", lastSeq: 9, unread: 0, lastAtMs: 1 };
    const lastMessage = message(9, "im/recalled", bytes(""));
    const page = { isFirst: true, isLast: true, from: 0, to: 9 };
    const none = { ...conversation, conversationId: "d", lastMessage: undefined };
    events.emit("snapshot", { ...page, conversations: [{ ...conversation, lastMessage }, none] });
    assert.deepEqual(
      changes.list("c").map(({ version, isRecalled }) => [version, isRecalled]),
      [
        [3, false],
        [Number.MAX_SAFE_INTEGER, true],
      ],
    );
  });

  it("takes what this client has sent itself, as nobody tells it", () => {
    const { changes } = setUp();
    const sent = { ...TARGET, id: "s-1", sentAtMs: 5, duplicate: false };
    changes.addSent(sent, "你好");
    changes.addSent({ ...sent, convSeq: 5, messageId: "m-5" }, bytes("card"), "im/card");
    assert.deepEqual(
      changes
        .list("c")
        .map(({ convSeq, sender, contentType, content }) => [
          ...[convSeq, sender, contentType, new TextDecoder().decode(content)],
        ]),
      [
        [4, "bob", "text/plain", "你好"],
        [5, "bob", "im/card", "card"],
      ],
    );
  });

  it("hears nothing after it is closed", () => {
    const { events, changes } = setUp();
    {
      using closing = changes;
      assert.equal(closing, changes);
    }
    events.emit("message", message(4, "text/plain", bytes("one")));
    assert.deepEqual(changes.list("c"), []);
  });

  it("recalls, by an id of its own or the caller's", async () => {
    const { asked, changes } = setUp();
    const { signal } = new AbortController();
    await changes.recall({ ...TARGET }, { id: "r-1", signal });
    await changes.recall(TARGET);
    const [first, second] = asked.map(({ body }) => Recall.decode(body));
    assert.deepEqual(first, { ...TARGET, clientMessageId: "r-1" });
    assert.match(second?.clientMessageId ?? "", /^[0-9a-f-]{36}$/);
    assert.deepEqual([asked[0]?.cmd, asked[0]?.signal, asked[1]?.signal], [ChatCommand.RECALL, signal, undefined]);
  });

  it("edits the version that was shown, and says who won", async () => {
    const won = setUp(Changed.encode({ version: 3 }));
    assert.deepEqual(await won.changes.edit({ ...TARGET, version: 2 }, "你好", { id: "e-1" }), {
      done: true,
      version: 3,
    });
    assert.deepEqual(Edit.decode(won.asked[0]?.body ?? bytes("")), {
      ...{ ...TARGET, clientMessageId: "e-1", version: 2 },
      content: bytes("你好"),
    });
    const lost = setUp(Changed.encode({ version: 7, code: ErrorCode.CONFLICT }));
    assert.deepEqual(await lost.changes.edit({ ...TARGET, version: 2 }, bytes("x")), { done: false, version: 7 });
    const odd = setUp(Changed.encode({ code: ErrorCode.INTERNAL }));
    await assert.rejects(odd.changes.edit({ ...TARGET, version: 2 }, "x"), { code: ErrorCode.INTERNAL });
  });

  it("presses buttons", async () => {
    const { asked, changes } = setUp(CardActionResult.encode({ status: 409, output: bytes("sold") }));
    const result = await changes.press(TARGET, "buy", { id: "p-1", input: bytes("{}") });
    assert.deepEqual(result, { status: 409, output: bytes("sold") });
    assert.deepEqual(CardAction.decode(asked[0]?.body ?? bytes("")), {
      ...{ ...TARGET, action: "buy", clientActionId: "p-1" },
      input: bytes("{}"),
    });
    await changes.press(TARGET, "buy");
    assert.equal(CardAction.decode(asked[1]?.body ?? bytes("")).input.length, 0);
  });
});
