// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import pg from "pg";
import { waitUntil } from "../harness/processes.ts";
import { APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC, startApnsSandbox } from "../sandbox/apns.ts";
import { startFcmSandbox } from "../sandbox/fcm.ts";
import { ACCEPT, type ProviderSandbox } from "../sandbox/sandbox.ts";
import { SMS_SECRET, SMS_TEMPLATE, startSmsSandbox } from "../sandbox/sms.ts";
import { login, targetOf, useFleet } from "./fleet-suite.ts";

const SMS_DELAY_MS = 3000;
/** Beyond the delay: a look at the schedule, a retry's pause, a loaded machine. */
const SLACK_MS = 25_000;
const POLICY = {
  steps: [{ channel: "app" }, { channel: "sms", delay: String(SMS_DELAY_MS), unreachedDelay: "500" }],
  dailyCaps: { sms: 3 },
};

describe("people who are away, and their providers", async () => {
  const [apns, fcm, sms] = await Promise.all([startApnsSandbox(), startFcmSandbox(), startSmsSandbox()]);
  after(() => Promise.all([apns, fcm, sms].map((sandbox) => sandbox.close())));
  const env = {
    IM_PUSH_APNS_URL: apns.url,
    IM_PUSH_APNS_KEY: apns.privateKey,
    IM_PUSH_APNS_KEY_ID: APNS_KEY_ID,
    IM_PUSH_APNS_TEAM_ID: APNS_TEAM_ID,
    IM_PUSH_APNS_TOPIC: APNS_TOPIC,
    IM_PUSH_FCM_URL: fcm.url,
    IM_PUSH_FCM_SERVICE_ACCOUNT: fcm.serviceAccount,
    IM_PUSH_SMS_URL: sms.url,
    IM_PUSH_SMS_SECRET: SMS_SECRET,
    IM_PUSH_SMS_TEMPLATE: SMS_TEMPLATE,
    IM_PUSH_POLICY: JSON.stringify(POLICY),
  };
  let db: pg.Client;
  let monitor: { text: string; close(): void } | undefined;
  // Before the fleet stops.
  after(async () => {
    await db?.end();
    monitor?.close();
  });
  const fleet = useFleet({ entries: 1, logics: 1, extlogics: 2, extlogicEnv: env });
  const clients: { close(): Promise<void> }[] = [];
  const addresses: string[] = [];

  before(async () => {
    db = new pg.Client({ connectionString: fleet().postgresUrl });
    await db.connect();
    monitor = await watchRedis(fleet().redis.port);
  });
  afterEach(async () => {
    for (const sandbox of [apns, fcm, sms]) sandbox.behave = () => ACCEPT;
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  const enter = async (uid: string) => {
    const user = await login(fleet(), uid, targetOf(fleet(), "tls", 0));
    clients.push(user.client);
    return user;
  };

  /** A user who was here once, registered a token and left; what the user is reached by. */
  let users = 0;
  async function absent(uid: string, provider: "apns" | "fcm" | "", phone: boolean) {
    const { client } = await login(fleet(), uid, targetOf(fleet(), "tls", 0));
    const token = (++users).toString(16).padStart(8, "0").repeat(8);
    const number = `+86138${String(users).padStart(8, "0")}`;
    if (provider) await client.setDevice({ push: { provider, token } });
    await client.close();
    if (phone) {
      const result = await runTool(["logic/push/contacts-main.ts"], { IM_POSTGRES_URL: fleet().postgresUrl }, [
        { userId: uid, phone: number, timeZone: "Asia/Shanghai" },
      ]);
      assert.deepEqual(result, { saved: 1, refused: 0 });
    }
    addresses.push(token, number);
    return { uid, token, number };
  }

  const told = (sandbox: ProviderSandbox, address: string) =>
    sandbox.accepted.filter((push) => push.address === address);
  const tried = (sandbox: ProviderSandbox, address: string) =>
    sandbox.pushes.filter((push) => push.address === address);
  const waitTold = (what: string, sandbox: ProviderSandbox, address: string, count = 1) =>
    waitUntil(what, () => told(sandbox, address).length >= count, SMS_DELAY_MS + SLACK_MS);

  const pushTokenOf = async (uid: string): Promise<{ token: string; invalidAt: Date | null }> => {
    const text = `SELECT push_token AS token, push_invalid_at AS "invalidAt" FROM device WHERE user_id = $1`;
    return (await db.query(text, [uid])).rows[0];
  };

  /** Steps of a user that wait. */
  const steps = async (uid: string): Promise<number> =>
    (await db.query("SELECT 1 FROM push_step WHERE user_id = $1", [uid])).rowCount ?? 0;
  /** Moves the time of a user's SMS, once it waits; by 0: it is due now. */
  const postponeSms = async (uid: string, byMs: number): Promise<void> => {
    const set = byMs === 0 ? "$2::bigint" : "due_ms + $2";
    const sql = `UPDATE push_step SET due_ms = ${set} WHERE user_id = $1 AND channel = 'sms' AND NOT leased`;
    const isMoved = async () => (await db.query(sql, [uid, byMs])).rowCount === 1;
    await waitUntil(`the SMS to ${uid} waits`, isMoved);
  };
  /** Resolves when nothing will be done any more about the user's messages up to this one. */
  const waitOver = async (uid: string, inboxSeq: number): Promise<void> => {
    const mark = "SELECT 1 FROM push_mark WHERE user_id = $1 AND seq >= $2";
    const isOver = async () => (await db.query(mark, [uid, inboxSeq])).rowCount === 1 && (await steps(uid)) === 0;
    await waitUntil(`all was done about message ${inboxSeq} of ${uid}`, isOver, SMS_DELAY_MS + SLACK_MS);
  };

  it("are told by their phone, then by SMS while they have not read it, and then no more", async () => {
    const alice = await enter("alice");
    const bob = await absent("bob", "apns", true);
    await alice.client.send({ to: bob.uid, content: "the text of the message" });
    await waitTold("the phone is told", apns, bob.token);
    assert.equal(tried(sms, bob.number).length, 0);
    await waitTold("the SMS came", sms, bob.number);
    assert.equal(told(apns, bob.token).length, 1);
    assert.equal(
      [...apns.pushes, ...sms.pushes].some(({ text }) => text.includes("the text of the message")),
      false,
    );
    assert.deepEqual([apns.refused, sms.refused], [[], []]);
  });

  it("get no SMS for what they read in time", async () => {
    const alice = await enter("alice");
    const carol = await absent("carol", "apns", true);
    await alice.client.send({ to: carol.uid, content: "read at once" });
    await waitTold("the phone is told", apns, carol.token);
    // In time, however long the login takes here.
    await postponeSms(carol.uid, 600_000);
    const here = await enter(carol.uid);
    await waitUntil("the message is there", () => here.messages.length > 0);
    const acked = "SELECT 1 FROM device WHERE user_id = $1 AND acked_seq = 1";
    await waitUntil("that is stored", async () => (await db.query(acked, [carol.uid])).rowCount === 1);
    await postponeSms(carol.uid, 0);
    // The step is over when its row is: it came to its time, and was cancelled.
    await waitOver(carol.uid, 1);
    assert.equal(tried(sms, carol.number).length, 0);
  });

  it("are reached by other providers while one stalls, and by SMS where it was theirs", async () => {
    const alice = await enter("alice");
    apns.behave = () => ({ kind: "stall" });
    const [dave, erin] = [await absent("dave", "apns", true), await absent("erin", "fcm", false)];
    for (let n = 0; n < 30; n++) await alice.client.send({ to: dave.uid, content: `stalls ${n}` });
    const sentAtMs = performance.now();
    await alice.client.send({ to: erin.uid, content: "goes through" });
    await waitTold("the other provider's user is told", fcm, erin.token);
    const throughMs = Math.round(performance.now() - sentAtMs);
    assert.ok(throughMs < 6000, `${throughMs} ms behind a stalled provider`);
    await waitTold("the SMS came", sms, dave.number);
    assert.equal(told(apns, dave.token).length, 0);
    apns.behave = () => ACCEPT;
    console.log(JSON.stringify({ behindStalledProviderMs: throughMs }));
  });

  it("are forgotten by a provider that calls their token dead, and reached otherwise", async () => {
    const alice = await enter("alice");
    const frank = await absent("frank", "apns", true);
    // Others' pushes are on their way still: they stalled above.
    apns.behave = (address) => (address === frank.token ? { kind: "gone" } : ACCEPT);
    await alice.client.send({ to: frank.uid, content: "no phone any more" });
    await waitTold("the SMS came", sms, frank.number);
    // The calls that stalled above may have made extlogic hold back calls to this provider for a while: then the SMS comes first.
    await waitUntil("the token is forgotten", async () => (await pushTokenOf(frank.uid)).token === "", SLACK_MS);
    assert.ok((await pushTokenOf(frank.uid)).invalidAt);
    await alice.client.send({ to: frank.uid, content: "again" });
    await waitTold("the second SMS came", sms, frank.number, 2);
    assert.equal(tried(apns, frank.token).length, 1);
    await alice.client.send({ to: frank.uid, content: "more" });
    await waitTold("the third SMS came", sms, frank.number, 3);
    for (let n = 0; n < 2; n++) {
      const { convSeq } = await alice.client.send({ to: frank.uid, content: "too much" });
      // He has one conversation: its seqs are those of his inbox.
      await waitOver(frank.uid, convSeq);
    }
    assert.equal(told(sms, frank.number).length, 3, "the day's cap");
  });

  it("are tried again after the pause that the provider asked for", async () => {
    const alice = await enter("alice");
    const grace = await absent("grace", "apns", false);
    const times: number[] = [];
    apns.behave = (address, attempt) => {
      if (address !== grace.token) return ACCEPT;
      times.push(performance.now());
      return attempt === 1 ? { kind: "busy", retryAfterS: 2 } : ACCEPT;
    };
    await alice.client.send({ to: grace.uid, content: "a busy provider" });
    await waitTold("the phone is told", apns, grace.token);
    const [first = 0, second = 0] = times;
    assert.ok(second - first >= 1990, `${second - first} ms`);
    assert.equal(tried(apns, grace.token).length, 2);
  });

  it("miss nothing when extlogic is killed with steps waiting, and messages come meanwhile", async () => {
    const alice = await enter("alice");
    const people: Awaited<ReturnType<typeof absent>>[] = [];
    for (let n = 0; n < 6; n++) people.push(await absent(`henry-${n}`, "apns", true));
    apns.behave = () => ({ kind: "stall" });
    for (const { uid } of people.slice(0, 3)) await alice.client.send({ to: uid, content: "in hand" });
    const isTried = ({ token }: { token: string }): boolean => tried(apns, token).length > 0;
    await waitUntil("calls are under way", () => people.slice(0, 3).every(isTried), SLACK_MS);
    await Promise.all(fleet().extlogics.map((extlogic) => extlogic.kill9()));
    for (const { uid } of people.slice(3)) await alice.client.send({ to: uid, content: "while it is away" });
    apns.behave = () => ACCEPT;
    await Promise.all(fleet().extlogics.map((extlogic) => extlogic.start()));
    const isTold = ({ token }: { token: string }): boolean => told(apns, token).length > 0;
    // A step in the hand of the dead is leased for 6 s.
    await waitUntil("everybody's phone is told", () => people.every(isTold), 90_000);
    await waitUntil(
      "everybody got the SMS",
      () => people.every(({ number }) => told(sms, number).length > 0),
      SMS_DELAY_MS + SLACK_MS,
    );
  });

  it("are told after all when a dead letter is replayed", async () => {
    const alice = await enter("alice");
    const ivy = await absent("ivy", "apns", false);
    apns.behave = (address) => (address === ivy.token ? { kind: "refuse" } : ACCEPT);
    await alice.client.send({ to: ivy.uid, content: "refused" });
    await waitUntil("it was refused", () => tried(apns, ivy.token).length > 0, SLACK_MS);
    const tool = (command: string) =>
      runTool(["logic/push/dead-letters-main.ts", command], {
        ...env,
        IM_POSTGRES_URL: fleet().postgresUrl,
        IM_REDIS_URL: fleet().redis.url,
      });
    await waitUntil("a letter is there", async () => (await tool("list")).letters === 1, SLACK_MS);
    apns.behave = () => ACCEPT;
    assert.deepEqual(await tool("replay"), { replayed: 1, gone: 0, malformed: 0 });
    await waitTold("the phone is told", apns, ivy.token);
    assert.equal((await tool("list")).letters, 0);
  });

  it("have their addresses in no log, no metric and nothing that goes to Redis, and their tokens sealed in the database", async () => {
    assert.ok(addresses.length >= 16);
    const { rows } = await db.query<{ at: string }>(
      "SELECT d::text AS at FROM device d UNION ALL SELECT b::text FROM push_binding b",
    );
    const sealed = rows.map(({ at }) => at).join("\n");
    assert.match(sealed, /,s1\./);
    for (const address of addresses) assert.equal(sealed.includes(address), false, `${address} in the database`);
    const logs = readdirSync(fleet().dir).filter((name) => name.endsWith(".log"));
    const metrics = await Promise.all(fleet().extlogics.map((extlogic) => extlogic.metrics()));
    const places = new Map([
      ...logs.map((name): [string, string] => [name, readFileSync(join(fleet().dir, name), "utf8")]),
      ...metrics.map((text, at): [string, string] => [`metrics of extlogic ${at}`, text]),
      ["Redis", monitor?.text ?? ""] as const,
    ]);
    assert.match(monitor?.text ?? "", /XADD/i, "the monitor sees what goes to Redis");
    for (const [place, text] of places) {
      for (const secret of [...addresses, SMS_SECRET])
        assert.equal(text.includes(secret), false, `${secret} in ${place}`);
    }
    assert.match(metrics.join("\n"), /im_push_total\{provider="apns",result="accepted"\} [1-9]/);
  });
});

/** Everything that anybody says to Redis, from now on. */
function watchRedis(port: number): Promise<{ text: string; close(): void }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    const seen = { text: "", close: () => socket.destroy() };
    socket.setEncoding("utf8");
    socket.once("error", reject);
    socket.on("data", (part: string) => {
      seen.text += part;
      if (seen.text.startsWith("+OK")) resolve(seen);
    });
    socket.write("MONITOR\r\n");
  });
}

/** Runs one of extlogic's commands with JSON lines on stdin; its one line of JSON. */
function runTool(args: string[], env: Record<string, string>, lines: object[] = []): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env: { PATH: process.env.PATH, ...env }, timeout: 30_000 });
    let out = "";
    let err = "";
    child.stdout.on("data", (part: Buffer) => (out += part));
    child.stderr.on("data", (part: Buffer) => (err += part));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(out) as Record<string, unknown>);
      else reject(new Error(`${args.join(" ")} ended with ${code}: ${err}`));
    });
    child.stdin.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  });
}
