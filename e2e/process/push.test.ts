// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { waitUntil } from "../harness/processes.ts";
import { startWebhookSandbox } from "../sandbox/webhook.ts";
import { login, targetOf, useFleet } from "./fleet-suite.ts";

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
      const away = await alice.client.send({ to: "bob", content: "you are away" });
      await waitUntil("the webhook was called", () => webhook.pushes.some((push) => push.userId === "bob"), 15_000);
      const push = webhook.pushes.find(({ userId }) => userId === "bob");
      assert.equal(push?.messageId, away.messageId);
      assert.equal(push?.sender, "alice");
      assert.equal(
        webhook.pushes.some(({ messageId }) => messageId === online.messageId),
        false,
      );
      assert.equal(webhook.invalid, 0);
    } finally {
      await Promise.all([alice, carol].map(({ client }) => client.close()));
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
