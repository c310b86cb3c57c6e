// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
import type { BroadcastBoard } from "../broadcasts/board.ts";
import {
  type Audience,
  type BroadcastStore,
  MAX_OPEN_BROADCASTS,
  type StoredBroadcast,
  type UsersAdded,
} from "../store/broadcast-store.ts";
import { internalId } from "../tenant/tenant-ids.ts";
import { type Refusal, refuse } from "./problem.ts";

/** What {@link BroadcastDesk} needs. */
export interface BroadcastDeskPorts {
  store: Pick<BroadcastStore, "create" | "find" | "list" | "addUsers" | "retract" | "readers" | "muteTopics">;
  board: Pick<BroadcastBoard, "look" | "nowMs">;
}

/** A broadcast that is asked for; ids are the tenant's own. */
export interface NewBroadcastAsk {
  readonly tenant: string;
  readonly idempotencyKey: string;
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly audience: Audience;
  /** JSON, or "". */
  readonly segment: string;
  readonly userIds: readonly string[];
  /** 0 = now. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly urgent: boolean;
  /** "" = none; then `maxPerDay` is 0. */
  readonly topic: string;
  readonly maxPerDay: number;
}

/** Broadcasts of tenants; what is due is in force when a call is answered. */
export class BroadcastDesk {
  readonly #ports: BroadcastDeskPorts;

  constructor(ports: BroadcastDeskPorts) {
    this.#ports = ports;
  }

  /** The store's time. */
  nowMs(): number {
    return this.#ports.board.nowMs;
  }

  /** Its id; the same for the same request. @throws {ImError} as the store does */
  async create(ask: NewBroadcastAsk): Promise<string | Refusal> {
    const { tenant, idempotencyKey, userIds, ...what } = ask;
    const notBeforeMs = ask.notBeforeMs === 0 ? this.nowMs() : ask.notBeforeMs;
    if (ask.notAfterMs <= notBeforeMs) return refuse("inverted_window", "notAfterMs must be later than notBeforeMs");
    if (ask.notAfterMs <= this.nowMs()) return refuse("inverted_window", "notAfterMs is over already");
    const broadcastId = `b-${hash("sha256", `${tenant}\0${idempotencyKey}`, "hex").slice(0, 32)}`;
    const members = [...new Set(userIds)].sort();
    const { content, topic, maxPerDay, ...plain } = what;
    const rest = topic === "" ? plain : { ...plain, topic, maxPerDay };
    // Of what was asked for: "now" is another moment when the request is repeated.
    const identity = JSON.stringify([rest, members, hash("sha256", content, "hex")]);
    const made = await this.#ports.store.create({
      ...{ broadcastId, tenant, digest: hash("sha256", identity, "buffer") },
      ...what,
      notBeforeMs,
      userIds: members.map((userId) => internalId(tenant, userId)),
    });
    if (made === "conflict") return refuse("conflict", "this Idempotency-Key made another broadcast: use a new one");
    if (made === "full")
      return refuse("too_many_broadcasts", `${MAX_OPEN_BROADCASTS} are planned or in force: retract some, or wait`);
    await this.#ports.board.look();
    return broadcastId;
  }

  /** @throws {ImError} as the store does */
  find(tenant: string, broadcastId: string): Promise<StoredBroadcast | undefined> {
    return this.#ports.store.find(tenant, broadcastId);
  }

  /** @throws {ImError} as the store does */
  list(tenant: string, page: { before: number; limit: number }): Promise<StoredBroadcast[]> {
    return this.#ports.store.list(tenant, page);
  }

  /** @throws {ImError} as the store does */
  async addUsers(tenant: string, broadcastId: string, userIds: readonly string[]): Promise<UsersAdded> {
    const members = [...new Set(userIds)].sort().map((userId) => internalId(tenant, userId));
    // The next look puts them into force: those who are added within a second together.
    return await this.#ports.store.addUsers(tenant, broadcastId, members);
  }

  /** Topics of which the user gets nothing. @throws {ImError} as the store does */
  async mutedTopics(tenant: string, userId: string): Promise<readonly string[]> {
    const id = internalId(tenant, userId);
    return (await this.#ports.store.readers([id])).get(id)?.mutedTopics.toSorted() ?? [];
  }

  /** In force from the next question of a device on. @throws {ImError} as the store does */
  async muteTopics(tenant: string, userId: string, topics: readonly string[]): Promise<void> {
    await this.#ports.store.muteTopics(internalId(tenant, userId), topics);
  }

  /** @throws {ImError} as the store does */
  async retract(tenant: string, broadcastId: string): Promise<boolean> {
    const isThere = await this.#ports.store.retract(tenant, broadcastId);
    await this.#ports.board.look();
    return isThere;
  }
}
