// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { waitWithin } from "../harness/cpu-wait.ts";
import { waitUntil } from "../harness/processes.ts";
import { startWebhookSandbox } from "../sandbox/webhook.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";
import { waitArmed, waitPushesOver } from "./push-suite.ts";
import { RawConnection } from "./raw-connection.ts";

/** Promised without a fault, and with one failed component. */
const LIMIT_MS = { none: 6000, component: 15_000 } as const;

describe("messages that a connected device does not acknowledge", async () => {
  const webhook = await startWebhookSandbox({});
  after(() => webhook.close());
  const fleet = useFleet({
    entries: 1,
    logics: 2,
    extlogics: 1,
    env: { IM_PING_INTERVAL_MS: "60000" },
    extlogicEnv: { IM_PUSH_WEBHOOK_URL: webhook.url },
  });
  const users = Array.from({ length: 10 }, (_, at) => `silent-${at}`);
  const told = (user: string) => webhook.pushes.filter(({ userId }) => userId === user);
  const isTold = (user: string): boolean => told(user).length > 0;
  const closers: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  const person = async (uid: string) => {
    const user = await login(fleet(), uid, targetOf(fleet(), "tls", 0));
    closers.push(() => user.client.close());
    return user;
  };
  /** A client that takes everything and never says a word: what a half-open connection looks like to the server. */
  const silent = async (uid: string): Promise<RawConnection> => {
    const connection = await RawConnection.open(fleet(), "plain");
    closers.push(() => connection.destroy());
    connection.hello(await fleet().tokens.mint(uid));
    await connection.frame(Command.WELCOME);
    return connection;
  };

  it("lead to one push within 6 s; those of a device that acknowledges do not", async () => {
    const [alice, carol, bob] = [await person("alice"), await person("carol"), await silent("bob")];
    await alice.client.send({ to: "bob", content: "hello?" });
    const pushed = waitWithin("the push came", LIMIT_MS.none, () => isTold("bob"));
    const delivered = async (): Promise<void> => {
      await alice.client.send({ to: "carol", content: "hello" });
      await bob.frame(Command.PUSH);
      await waitMessages(carol, 1);
    };
    const [tookMs] = await Promise.all([pushed, delivered()]);
    console.log(JSON.stringify({ timeoutPushMs: Math.round(tookMs) }));
    assert.equal(told("bob")[0]?.inboxSeq, 1);
    // Whatever became of it: on a busy machine the reconciler may have been first.
    const byWheel = /im_push_by_cause_total\{cause="timeout",result="\w+"\} [1-9]/;
    const isWheels = async (): Promise<boolean> => byWheel.test((await fleet().extlogics[0]?.metrics()) ?? "");
    await waitUntil("the wheel asked for it", isWheels, 30_000);
  });

  it("lead to one push when the logic that sent them is killed while they wait", async () => {
    const alice = await person("alice");
    for (const user of users) await silent(user);
    for (const to of users) await alice.client.send({ to, content: "hello?" });
    await waitArmed(fleet(), users, isTold);
    await fleet().logic(0).kill9();
    const tookMs = await waitWithin("all were pushed to", LIMIT_MS.component, () => users.every(isTold));
    console.log(JSON.stringify({ pushedAfterKillMs: Math.round(tookMs) }));
    await fleet().logic(0).start();
    await fleet().logic(0).waitReady();
    await fleet().waitMesh();
  });

  it("lead to one push when Redis forgets the wheel while they wait", async () => {
    const alice = await person("alice");
    await silent("dave");
    await alice.client.send({ to: "dave", content: "hello?" });
    await waitArmed(fleet(), ["dave"], isTold);
    await fleet().redis.flush();
    const tookMs = await waitWithin("the push came", LIMIT_MS.component, () => isTold("dave"));
    console.log(JSON.stringify({ pushedAfterFlushMs: Math.round(tookMs) }));
    await waitPushesOver(fleet());
    const counts = ["bob", "dave", ...users].map((user) => told(user).length);
    assert.deepEqual(
      [told("carol").length, ...counts],
      [0, ...counts.map(() => 1)],
      "never twice, in any of these tests",
    );
  });
});
