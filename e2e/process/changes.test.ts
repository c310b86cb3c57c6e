// SPDX-License-Identifier: Apache-2.0
// Recalls, edits and cards between real processes: for who is online, for who comes later, for a second device.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ImClient } from "#client";
import { systemClock } from "#lib/clock.ts";
import { Changes, parseCard, type ShownMessage } from "../../client/src/models/index.ts";
import { type Card, signCard } from "../../logic/changes/card.ts";
import type { CardActionNotice } from "../../logic/changes/card-action.ts";
import { CardDesk } from "../../logic/changes/card-desk.ts";
import { ChangeDesk } from "../../logic/changes/change-desk.ts";
import { Gate } from "../../logic/gate.ts";
import { unreadMetrics } from "../../logic/metrics.ts";
import { openPostgresStore } from "../../logic/store/postgres-store.ts";
import { signature } from "../../logic/webhook/signature.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;

const KEY = { id: "k1", secret: randomBytes(32) };
const SECRET = "a secret of the shop and the cluster";

/** The shop: decides about pressed buttons, and remembers who asked what. */
class Shop {
  readonly notices: CardActionNotice[] = [];
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const [, time = "0"] = /^t=(\d+),/.exec(String(request.headers["x-im-signature"])) ?? [];
      if (request.headers["x-im-signature"] !== signature(SECRET, Number(time), body)) response.writeHead(401).end();
      else {
        this.notices.push(JSON.parse(body) as CardActionNotice);
        response.end(`done ${this.notices.length}`);
      }
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/actions`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

describe("messages that change", () => {
  const folder = temporaryFolder("im-cards-");
  const shop = new Shop();
  const logicEnv: Record<string, string> = {
    IM_CARD_KEYS_FILE: join(folder, "keys"),
    IM_CARD_ACTION_SECRET: SECRET,
    IM_WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8",
  };
  before(async () => {
    writeFileSync(join(folder, "keys"), `${KEY.id} ${KEY.secret.toString("base64")}\n`);
    logicEnv.IM_CARD_ACTION_URL = await shop.open();
  });
  const fleet = useFleet({ entries: 2, logics: 2, internalTls: true, env: { IM_PING_INTERVAL_MS: "2000" }, logicEnv });
  after(async () => {
    await shop.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A device of a user, and what it shows. */
  async function device(userId: string, entry: number, platform: "ios" | "web" = "ios"): Promise<Device> {
    const shown: { changes?: Changes } = {};
    const listen = (client: ImClient): void => {
      shown.changes = new Changes(client);
    };
    const options = { deviceId: `${userId}-${platform}`, platform };
    const target = targetOf(fleet(), entry === 0 ? "tls" : "wss", entry);
    const user = await login(fleet(), userId, target, options, listen);
    assert.ok(shown.changes);
    return { ...user, changes: shown.changes };
  }

  /** Waits until the device shows the message so. */
  const shows = (user: Device, { conversationId, convSeq }: Sent, wanted: string): Promise<void> =>
    waitUntil(
      `${user.client.userId} shows ${wanted}`,
      () => describeShown(user.changes.find(conversationId, convSeq)) === wanted,
      WAIT_MS,
    );

  it("are edited and recalled for who is online, for a second device, and for who comes later", async () => {
    const [alice, bob] = [unique("alice"), unique("bob")];
    const phone = await device(alice, 0);
    const browser = await device(alice, 1, "web");
    const peer = await device(bob, 1);
    const first = await phone.client.send({ to: bob, content: "firts" });
    const second = await phone.client.send({ to: bob, content: "a secret" });
    phone.changes.addSent(first, "firts");
    phone.changes.addSent(second, "a secret");
    for (const user of [phone, browser, peer]) await shows(user, second, "v1 a secret");
    await peer.client.close();

    // Two devices edit the same version: one wins, the other learns what there is now.
    const target = { ...first, version: 1 };
    const outcomes = await Promise.all([phone.changes.edit(target, "first"), browser.changes.edit(target, "1st")]);
    assert.deepEqual(outcomes.map(({ done, version }) => `${done} ${version}`).sort(), ["false 2", "true 2"]);
    const winner = outcomes[0]?.done ? "first" : "1st";
    await phone.changes.recall(second, { id: "recall-1" });
    // Once more with the same id, and from the other device.
    await phone.changes.recall(second, { id: "recall-1" });
    await browser.changes.recall(second);
    assert.equal((await phone.changes.edit({ ...second, version: 1 }, "x")).done, false);
    for (const user of [phone, browser]) {
      await shows(user, first, `v2 ${winner}`);
      await shows(user, second, "recalled");
    }

    // Who was away has shown the old ones; a new device never sees them.
    assert.equal(describeShown(peer.changes.find(second.conversationId, second.convSeq)), "v1 a secret");
    peer.client.connect();
    const fresh = await device(bob, 1, "web");
    for (const user of [peer, fresh]) {
      await shows(user, first, `v2 ${winner}`);
      await shows(user, second, "recalled");
      const { messages } = await user.client.history(first.conversationId);
      user.changes.add(messages);
      await shows(user, first, `v2 ${winner}`);
    }
    assert.ok(fresh.messages.every(({ text }) => !/secret|firts/.test(text)));
    await assert.rejects(peer.changes.recall(first), { codeName: "PERMISSION_DENIED" });
    await assert.rejects(peer.client.send({ to: alice, content: "x", contentType: "im/change" }), {
      codeName: "BAD_REQUEST",
    });
    await Promise.all([phone, browser, peer, fresh].map(({ client }) => client.close()));
  });

  it("as cards follow what they show, in place, and their buttons ask the shop once", async () => {
    const [alice, bob] = [unique("alice"), unique("bob")];
    const [buyer, seller] = [await device(alice, 0), await device(bob, 1)];
    const card: Card = {
      ...{ type: "item", ref: unique("item"), version: 1, snapshot: { cents: 4200 } },
      actions: [{ id: "buy", label: "Buy" }],
    };
    const forged = signCard(card, { id: KEY.id, secret: randomBytes(32) });
    const post = (content: string) => buyer.client.send({ to: bob, contentType: "im/card", content });
    await assert.rejects(post(forged), { codeName: "PERMISSION_DENIED" });
    await assert.rejects(post(signCard({ ...card, type: "order" }, KEY)), { codeName: "PERMISSION_DENIED" });
    const sent = await post(signCard(card, KEY));
    await waitUntil(
      "the seller sees the card",
      () => seller.changes.find(sent.conversationId, sent.convSeq) !== undefined,
      WAIT_MS,
    );
    const press = (id: string) => seller.changes.press(sent, "buy", { id });
    const [one, twice, other] = [await press("p-1"), await press("p-1"), await press("p-2")];
    assert.deepEqual(
      [one, twice, other].map(({ status, output }) => `${status} ${Buffer.from(output)}`),
      ["200 done 1", "200 done 1", "200 done 2"],
    );
    assert.deepEqual([shop.notices[0]?.userId, shop.notices[0]?.card.ref, shop.notices.length], [bob, card.ref, 2]);
    await assert.rejects(seller.changes.press(sent, "sell"), { codeName: "NOT_FOUND" });
    await seller.client.close();

    // A backend tells of other states, out of order; its logic is another process than theirs.
    const store = await openPostgresStore({ url: fleet().postgresUrl, name: "backend" });
    try {
      const cards = cardDeskOn(store);
      const update = (version: number) =>
        cards.update({
          ...{ conversationId: sent.conversationId, ref: card.ref, version },
          ...{ snapshot: { cents: 4200 - version }, isOwn: () => true, service: "svc:items" },
        });
      assert.equal((await update(5)).kind, "updated");
      assert.deepEqual(await update(3), { kind: "stale", convSeq: sent.convSeq, version: 5 });
    } finally {
      await store.close();
    }
    seller.client.connect();
    for (const user of [buyer, seller, await device(bob, 0, "web")]) {
      if (user === buyer) user.changes.addSent(sent, signCard(card, KEY), "im/card");
      await waitUntil("the card shows the other state", () => cardOf(user, sent)?.version === 5, WAIT_MS);
      assert.deepEqual(cardOf(user, sent)?.snapshot, { cents: 4195 });
      const bubbles = user.changes.list(sent.conversationId);
      assert.deepEqual(
        bubbles.map(({ convSeq, contentType }) => `${convSeq} ${contentType}`),
        [`${sent.convSeq} im/card`],
      );
    }
    await Promise.all([buyer, seller].map(({ client }) => client.close()));
  });
});

type Sent = Pick<ShownMessage, "conversationId" | "convSeq">;
type Device = User & { changes: Changes };

function describeShown(message: ShownMessage | undefined): string {
  if (!message) return "nothing";
  return message.isRecalled ? "recalled" : `v${message.version} ${new TextDecoder().decode(message.content)}`;
}

function cardOf({ changes }: Device, { conversationId, convSeq }: Sent) {
  const message = changes.find(conversationId, convSeq);
  return message && parseCard(message.content);
}

/** What a logic updates cards with; nobody hears of it by this one, everybody by the inbox. */
function cardDeskOn(store: Awaited<ReturnType<typeof openPostgresStore>>): CardDesk {
  const gate = new Gate({ clock: systemClock, maxRunning: 2, maxWaiting: 10, maxWaitMs: 5000 });
  const epochs = { current: store.epoch, markOf: () => 0, doubt: () => undefined };
  const common = { clock: systemClock, metrics: unreadMetrics(), onFault: () => undefined, deliver: () => undefined };
  const desk = new ChangeDesk({ ...common, store, epochs, gate });
  return new CardDesk({ keys: () => [KEY], store, desk, messageId: () => randomUUID(), clock: systemClock });
}
