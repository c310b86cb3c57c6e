// SPDX-License-Identifier: Apache-2.0
// A thin client that speaks JSON, on real processes, beside peers on the SDK.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#client";
import { ErrorCode } from "#lib/errors.ts";
import { JsonClient } from "../../gateway/testing/json-client.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const WAIT_MS = 60_000;

interface JsonEvent {
  inboxSeq: string;
  sender: string;
  content: string;
}

const shown = (events: readonly JsonEvent[]): [string, string, string][] =>
  events.map(({ inboxSeq, sender, content }) => [inboxSeq, sender, Buffer.from(content, "base64").toString()]);

describe("JSON between real processes", () => {
  const fleet = useFleet({ entries: 2, logics: 1, internalTls: true });

  const open = (entry: number): Promise<JsonClient> =>
    JsonClient.open(`wss://127.0.0.1:${fleet().entry(entry).tlsPort}/ws`, ["im.v1.json"], {
      ca: fleet().ca,
      servername: SERVER_NAME,
    });

  /** Asks until the server has the time for it. */
  async function ask(client: JsonClient, cmd: string, rid: number, body: Record<string, unknown>) {
    for (let tries = 0; ; tries++) {
      const id = rid + tries;
      client.send({ cmd, rid: id, body });
      const answer = await client.answer(id);
      if (answer.retryable !== true || tries === 20) return answer;
      await new Promise((resolve) => setTimeout(resolve, Number(answer.retryAfterMs)));
    }
  }

  it("logs in, sends, receives, acknowledges and pulls, while its peer is on the SDK", async () => {
    const bob = await login(fleet(), "json-bob", targetOf(fleet(), "tls", 1));
    const alice = await open(0);
    try {
      const welcome = await alice.login("json-alice-1", await fleet().tokens.mint("json-alice"));
      const { userId, inboxEpoch, inboxHead } = welcome.body ?? {};
      assert.deepEqual([userId, inboxHead], ["json-alice", "0"]);

      const content = base64("hello \u4f60\u597d from JSON");
      const ack = await ask(alice, "SEND", 100, { to: "json-bob", clientMessageId: "m-1", content });
      assert.deepEqual([ack.clientMessageId, ack.convSeq, ack.inboxSeq, ack.duplicate], ["m-1", "1", "1", false]);
      await waitMessages(bob, 1, WAIT_MS);
      assert.equal(bob.messages[0]?.text, "hello \u4f60\u597d from JSON");
      const again = await ask(alice, "SEND", 200, { to: "json-bob", clientMessageId: "m-1", content });
      assert.deepEqual([again.duplicate, again.messageId], [true, ack.messageId]);

      for (const text of ["one", "two"]) await bob.client.send({ to: "json-alice", content: text });
      const page = async (cursor: string, rid: number) => {
        const answer = await ask(alice, "SYNC", rid, { inboxEpoch, cursor });
        return { events: answer.events as JsonEvent[], head: answer.head };
      };
      // A push may be lost on the way; what is stored is not.
      const { events, head } = await page("1", 300);
      assert.deepEqual(shown(events), [
        ["2", "json-bob", "one"],
        ["3", "json-bob", "two"],
      ]);
      assert.equal(head, "3");
      alice.send({ cmd: "PUSH_ACK", body: { inboxSeq: "3" } });
      const history = await ask(alice, "HISTORY", 400, { conversationId: String(ack.conversationId), limit: 2 });
      assert.deepEqual(
        shown(history.events as JsonEvent[]).map(([, , text]) => text),
        ["one", "two"],
      );
      const wrong = await ask(alice, "SEND", 500, { to: "json-bob", clientMessageId: "m-2", content: "no base64" });
      assert.equal(wrong.code, ErrorCode.BAD_REQUEST);
      alice.send({ cmd: "LOGOUT" });
      assert.equal(await alice.closed(), DisconnectCode.LOGGED_OUT);
    } finally {
      alice.close();
      await bob.client.close();
    }
  });

  it("is pushed to, and goes on with its cursor at another entry", async () => {
    const bob = await login(fleet(), "json-dave", targetOf(fleet(), "wss", 0));
    const token = await fleet().tokens.mint("json-carol");
    const first = await open(0);
    const second = await open(1);
    try {
      const { inboxEpoch } = (await first.login("json-carol-1", token)).body ?? {};
      const pushed = () => first.ofCmd("PUSH").flatMap(({ body }) => body?.events as JsonEvent[]);
      // A push is no promise: one of several will do.
      for (let i = 1; pushed().length === 0; i++) {
        await bob.client.send({ to: "json-carol", content: `number ${i}` });
        await waitUntil("a push, or the end of waiting", () => pushed().length > 0, 2000).catch((error: unknown) => {
          if (i >= 20) throw error;
        });
      }
      const at = Number(pushed()[0]?.inboxSeq);
      assert.deepEqual(shown(pushed().slice(0, 1)), [[String(at), "json-dave", `number ${at}`]]);
      await bob.client.send({ to: "json-carol", content: "the last" });
      second.send({
        cmd: "HELLO",
        rid: 1,
        body: {
          ...{ protoMin: 1, protoMax: 1, deviceId: "json-carol-1", platform: "web", token },
          inboxEpoch,
          inboxCursor: at,
        },
      });
      const page = (await second.wait("WELCOME")).body?.firstPage as { events: JsonEvent[] };
      assert.equal(shown(page.events).at(-1)?.[2], "the last");
      assert.equal(page.events[0]?.inboxSeq, String(at + 1));
      assert.equal(await first.closed(), DisconnectCode.SUPERSEDED);
    } finally {
      first.close();
      second.close();
      await bob.client.close();
    }
  });

  it("a bad token is refused in words", async () => {
    const client = await open(0);
    try {
      client.send({
        cmd: "HELLO",
        rid: 1,
        body: { protoMin: 1, protoMax: 1, deviceId: "d", platform: "web", token: "x" },
      });
      assert.equal(await client.closed(), DisconnectCode.TOKEN_INVALID);
      const body = client.ofCmd("ERROR")[0]?.body;
      assert.deepEqual(
        [body?.code, body?.retryable, body?.reason],
        [DisconnectCode.TOKEN_INVALID, false, client.closeReason],
      );
    } finally {
      client.close();
    }
  });
});
