// SPDX-License-Identifier: Apache-2.0
// What a store that keeps messages does for an application that ends with messages on their way.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setup, turn } from "../test/fake-server.ts";
import { ClientCode, ErrorCode } from "./codes.ts";
import type { ImClientError } from "./errors.ts";
import type { SendOutcome } from "./events.ts";
import type { OutboxChange, PendingMessage, Store, StoredCursor } from "./store.ts";

/** Keeps what a disk would keep from one client to the next. */
class Disk implements Store {
  cursor: StoredCursor | undefined;
  readonly outbox = new Map<string, PendingMessage>();

  load(): StoredCursor | undefined {
    return this.cursor;
  }

  save(cursor: StoredCursor): void {
    this.cursor = cursor;
  }

  loadOutbox(): PendingMessage[] {
    return [...this.outbox.values()];
  }

  saveOutbox({ add, remove }: OutboxChange): void {
    for (const id of remove) this.outbox.delete(id);
    for (const message of add) this.outbox.set(message.id, message);
  }
}

function begin(disk: Disk) {
  const all = setup({ store: disk });
  const settled: SendOutcome[] = [];
  const errors: ImClientError[] = [];
  all.client.on("settled", (outcome) => settled.push(outcome));
  all.client.on("error", (error) => errors.push(error));
  return { ...all, settled, errors };
}

/** A run that ends with `ids` written and not answered. */
async function leave(disk: Disk, ids: string[]): Promise<void> {
  const { client, server } = begin(disk);
  client.connect();
  await server.login();
  await client.ready();
  const results = ids.map((id) => client.send({ to: "bob", content: `text ${id}`, id }).catch((error) => error.code));
  await client.saved();
  await client.close();
  assert.deepEqual(
    await Promise.all(results),
    ids.map(() => ClientCode.CLOSED),
  );
}

describe("messages on their way when the application ends", () => {
  it("go out first at the next login, with their ids and in order, and settle by an event", async () => {
    const disk = new Disk();
    await leave(disk, ["a", "b"]);
    const { client, server, settled } = begin(disk);
    const own = client.send({ to: "bob", content: "new", id: "c" });
    client.connect();
    const entry = await server.login();
    const got: string[] = [];
    for (let n = 0; n < 3; n++) {
      const send = await entry.nextSend();
      got.push(`${send.clientMessageId}:${new TextDecoder().decode(send.content)}`);
      entry.ack(send);
    }
    assert.deepEqual(got, ["a:text a", "b:text b", "c:new"]);
    assert.equal((await own).id, "c");
    await turn();
    assert.deepEqual(
      settled.map(({ id, result, error }) => [id, result?.messageId, error]),
      [
        ["a", "id-a", undefined],
        ["b", "id-b", undefined],
      ],
    );
    await client.close();
    assert.deepEqual([disk.outbox.size, client.pending()], [0, []]);
  });

  it("are listed at once, for the application to show", async () => {
    const disk = new Disk();
    await leave(disk, ["a"]);
    const { client, server } = begin(disk);
    client.connect();
    await server.login();
    const [message] = client.pending();
    assert.deepEqual([message?.id, message?.to, message?.userId], ["a", "bob", "alice"]);
    await client.close();
    assert.deepEqual([...disk.outbox.keys()], ["a"]);
  });

  it("are refused by an event, and kept no longer", async () => {
    const disk = new Disk();
    await leave(disk, ["a"]);
    const { client, server, settled } = begin(disk);
    client.connect();
    const entry = await server.login();
    const send = await entry.nextSend();
    entry.error(send.rid, ErrorCode.PERMISSION_DENIED);
    await turn();
    assert.deepEqual(
      settled.map(({ id, error }) => [id, error?.code]),
      [["a", ErrorCode.PERMISSION_DENIED]],
    );
    await client.close();
    assert.equal(disk.outbox.size, 0);
  });

  it("go out when the same client connects again after a close, without an event in between", async () => {
    const disk = new Disk();
    const { client, server, settled } = begin(disk);
    client.connect();
    await server.login();
    const interrupted = client.send({ to: "bob", content: "x", id: "a" });
    await assert.rejects(Promise.all([interrupted, client.close()]), { code: ClientCode.CLOSED });
    client.connect();
    const entry = await server.login();
    assert.deepEqual(settled, []);
    const send = await entry.nextSend();
    entry.ack(send);
    await turn();
    assert.deepEqual([send.clientMessageId, settled.map(({ id }) => id)], ["a", ["a"]]);
    await client.close();
  });

  it("are dropped, and never sent, when somebody else signs in on that store", async () => {
    const disk = new Disk();
    await leave(disk, ["a"]);
    disk.outbox.set("b", { ...(disk.outbox.get("a") as PendingMessage), id: "b", userId: "" });
    const { client, server, errors } = begin(disk);
    client.connect();
    const entry = await server.login({ userId: "mallory" });
    await client.ready();
    await turn();
    assert.equal(entry.frames.filter(({ cmd }) => cmd === 16).length, 0);
    assert.match(errors.map(({ message }) => message).join(), /2 unsent messages of another user were dropped/);
    await client.close();
    assert.equal(disk.outbox.size, 0);
  });

  it("end with an abort, in the store too", async () => {
    const disk = new Disk();
    const { client } = begin(disk);
    const abort = new AbortController();
    const sending = client.send({ to: "bob", content: "x", id: "a", signal: abort.signal });
    await client.saved();
    assert.equal(disk.outbox.size, 1);
    abort.abort();
    await assert.rejects(sending, { code: ClientCode.ABORTED });
    await client.close();
    assert.equal(disk.outbox.size, 0);
  });

  it("are not held up by a store that fails, which is told", async () => {
    const disk = new Disk();
    disk.saveOutbox = () => {
      throw new Error("the quota is used up");
    };
    const { client, server, errors } = begin(disk);
    client.connect();
    const entry = await server.login();
    const sending = client.send({ to: "bob", content: "x", id: "a" });
    entry.ack(await entry.nextSend());
    assert.equal((await sending).id, "a");
    await client.close();
    assert.match(errors[0]?.message ?? "", /could not keep the messages: the quota is used up/);
    assert.equal(errors[0]?.code, ClientCode.STORE_FAILED);
  });

  it("keep the client closed when the store cannot be read", async () => {
    const disk = new Disk();
    disk.loadOutbox = () => {
      throw new Error("damaged");
    };
    const { client } = begin(disk);
    client.connect();
    await turn();
    assert.equal(client.state.kind, "closed");
    assert.match(client.state.kind === "closed" ? client.state.reason : "", /could not be read: damaged/);
  });
});
