// SPDX-License-Identifier: Apache-2.0
// The drill of docs/recovery.md: PostgreSQL's disk is lost, and it is restored from a backup and the archive of its log.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { type ArchivedPostgres, startArchivedPostgres } from "../harness/archived-postgres.ts";
import { type Fleet, startFleet } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { readStored } from "../workload/read-stored.ts";
import { assertKept, chat, login, targetOf, type User } from "./fleet-suite.ts";

const WAIT_MS = 90_000;
const POINT = "before-the-accident";
const OPERATIONS = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");

/** The statement that operators are told to run before the address leads to a restored server. */
function epochStatement(): string {
  const [, statement] = /restored to an older state[\s\S]*?```sql\n([^`]+)```/.exec(OPERATIONS) ?? [];
  assert.ok(statement, "docs/operations.md tells the statement");
  return statement;
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: WAIT_MS });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

describe("a PostgreSQL whose disk is lost, restored from backup and archive", () => {
  let postgres: ArchivedPostgres;
  let fleet: Fleet;
  before(async () => {
    postgres = await startArchivedPostgres();
    fleet = await startFleet({ entries: 2, logics: 2, postgres, env: { IM_PING_INTERVAL_MS: "1000" } });
  });
  const users: User[] = [];
  after(async () => {
    await Promise.all(users.map(({ client }) => client.close()));
    await fleet?.stopAll();
    await postgres?.stop();
  });
  const pairs = () => [{ a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) }];

  it("has everything that was acknowledged up to the point, and clients begin anew and go on", async () => {
    const resets: string[] = [];
    const hear = (name: string) => (client: Parameters<NonNullable<Parameters<typeof login>[4]>>[0]) =>
      void client.on("reset", () => resets.push(name));
    const ann = await login(fleet, "ann", targetOf(fleet, "tls", 0), {}, hear("ann"));
    const bob = await login(fleet, "bob", targetOf(fleet, "wss", 1), {}, hear("bob"));
    users.push(ann, bob);
    const say = async (texts: readonly string[]) =>
      await Promise.all(texts.map((content) => ann.client.send({ to: "bob", content })));
    const heard = (text: string) => bob.messages.filter((message) => message.text === text).length;
    await say(["one", "two"]);
    const nemesis = async (progress: { reached(share: number): Promise<void> }): Promise<void> => {
      await progress.reached(0.2);
      await postgres.backUp();
    };
    assertKept(await chat(fleet, { pairs: pairs(), messages: 300, ratePerSecond: 150, nemesis }));
    await say(["after the backup"]);
    assertKept(await chat(fleet, { pairs: pairs(), messages: 100 }));
    const stored = await readStored(fleet.postgresUrl);
    await postgres.mark(POINT);
    await say(["after the point"]);
    await waitUntil("bob has it", () => heard("after the point") === 1, WAIT_MS);
    resets.length = 0;

    await postgres.loss();
    const waiting = say(["during the outage"]);
    await postgres.restore(POINT, (urlOf) => run(urlOf(databaseOf(fleet)), epochStatement()));

    await waiting;
    await say(["afterwards"]);
    await waitUntil("bob has what was said since", () => heard("afterwards") > 0, WAIT_MS);
    assert.deepEqual(resets.toSorted(), ["ann", "bob"], "clients noticed the other epoch");
    for (const text of ["one", "two", "after the backup", "after the point", "during the outage", "afterwards"])
      assert.equal(heard(text), 1, `${text}: shown once`);

    const now = new Map((await readStored(fleet.postgresUrl)).map((row) => [row.messageId, row]));
    assert.ok(stored.length > 400, String(stored.length));
    for (const row of stored) assert.deepEqual(now.get(row.messageId), row);
    assert.equal(now.size, stored.length + 2, "it is the state of the point, and what was said since");
    const second = await login(fleet, "bob", targetOf(fleet, "tls", 1), { deviceId: "bob-2", platform: "web" });
    users.push(second);
    const { messages } = await second.client.history(bob.messages[0]?.conversationId ?? "");
    assert.deepEqual(
      messages.map(({ text }) => text).toSorted(),
      ["after the backup", "afterwards", "during the outage", "one", "two"].toSorted(),
    );
    assertKept(await chat(fleet, { pairs: pairs(), messages: 100 }));
  });
});

function databaseOf({ postgresUrl }: Fleet): string {
  return new URL(postgresUrl).pathname.slice(1);
}
