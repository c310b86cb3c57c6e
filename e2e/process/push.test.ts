// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Conversations } from "../../client/src/models/index.ts";
import { waitUntil } from "../harness/processes.ts";
import { startWebhookSandbox } from "../sandbox/webhook.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

const SECRET = "a secret of the test";

describe("messages for people who are away", async () => {
  const webhook = await startWebhookSandbox({ secret: SECRET });
  after(() => webhook.close());
  const fleet = useFleet({
    entries: 1,
    logics: 1,
    extlogics: 1,
    extlogicEnv: { IM_PUSH_WEBHOOK_URL: webhook.url, IM_PUSH_WEBHOOK_SECRET: SECRET },
  });

  it("go to the webhook, signed, and those for people who are here do not", async () => {
    const target = targetOf(fleet(), "tls", 0);
    const bob = await login(fleet(), "bob", target);
    await bob.client.close();
    const alice = await login(fleet(), "alice", target);
    const carol = await login(fleet(), "carol", target);
    try {
      const online = await alice.client.send({ to: "carol", content: "you are here" });
      const about = { subjectType: "item", subjectId: "lamp" };
      const away = await alice.client.send({ to: "bob", content: "you are away", ...about });
      await waitUntil("the webhook was called", () => webhook.pushes.some((push) => push.userId === "bob"), 15_000);
      const push = webhook.pushes.find(({ userId }) => userId === "bob");
      assert.equal(push?.messageId, away.messageId);
      assert.equal(push?.sender, "alice");
      const { conversationId, subjectType, subjectId } = push ?? {};
      assert.deepEqual([conversationId, subjectType, subjectId], [away.conversationId, "item", "lamp"]);
      assert.equal(
        webhook.pushes.some(({ messageId }) => messageId === online.messageId),
        false,
      );
      assert.equal(webhook.invalid, 0);
    } finally {
      await Promise.all([alice, carol].map(({ client }) => client.close()));
    }
  });

  it("of a conversation that they muted push nothing, and are there when they come", async () => {
    const target = targetOf(fleet(), "tls", 0);
    const erin = await login(fleet(), "erin", target);
    const alice = await login(fleet(), "alice", target);
    const dave = await login(fleet(), "dave", target);
    try {
      const { conversationId } = await alice.client.send({ to: "erin", content: "seen" });
      const book = new Conversations(erin.client);
      await book.load();
      await book.mute(conversationId);
      await erin.client.close();
      const quiet = await alice.client.send({ to: "erin", content: "muted" });
      const loud = await dave.client.send({ to: "erin", content: "not muted" });
      const isPushed = ({ messageId }: { messageId: string }): boolean =>
        webhook.pushes.some((push) => push.messageId === messageId);
      await waitUntil("the other conversation was pushed", () => isPushed(loud), 20_000);
      const again = await login(fleet(), "erin", target);
      await waitMessages(again, 3);
      assert.deepEqual(
        again.messages.slice(1).map(({ messageId }) => messageId),
        [quiet.messageId, loud.messageId],
      );
      assert.equal(isPushed(quiet), false);
      await again.client.close();
    } finally {
      await Promise.all([alice, dave, erin].map(({ client }) => client.close()));
    }
  });

  it("wait while extlogic is dead and go out when it is back", async () => {
    const alice = await login(fleet(), "alice", targetOf(fleet(), "tls", 0));
    try {
      const [extlogic] = fleet().extlogics;
      await extlogic?.kill9();
      const { messageId } = await alice.client.send({ to: "bob", content: "still away" });
      await extlogic?.start();
      await waitUntil("the webhook was called", () => webhook.pushes.some((p) => p.messageId === messageId), 20_000);
    } finally {
      await alice.client.close();
    }
  });
});
