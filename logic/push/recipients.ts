// SPDX-License-Identifier: Apache-2.0

import { Gathered } from "../gathered.ts";
import { isSilentType } from "../store/changes.ts";
import type { PushContact, PushStore } from "../store/push-store.ts";
import type { PushTarget, Store, StoredEvent } from "../store/store.ts";
import type { Defer } from "../tick-batch.ts";
import { type PushPolicy, readSeq } from "./policy.ts";

const PAGE_EVENTS = 100;
const PAGE_BYTES = 256 * 1024;
const MAX_BATCH = 200;
const MAX_WAITING = 20_000;

/** A user, and what reaches them. */
export interface Recipient {
  readonly devices: readonly PushTarget[];
  readonly contact: PushContact;
  /** Highest inbox seq that counts as read. */
  readonly readSeq: number;
}

/** A message in a user's inbox, and how many they have. */
export interface PushEvent {
  readonly event: StoredEvent;
  readonly head: number;
}

/** The store's part that is read for a push. */
export type RecipientStore = Pick<Store, "pushTargets" | "readInbox"> & {
  readonly pushStore: Pick<PushStore, "readContacts">;
};

/** Reads users and messages from the store, in batches. */
export class Recipients {
  readonly #store: RecipientStore;
  readonly #policy: PushPolicy;
  readonly #readSeqs: Gathered<string, number>;

  constructor(store: RecipientStore, policy: PushPolicy, defer: Defer) {
    this.#store = store;
    this.#policy = policy;
    this.#readSeqs = new Gathered({
      defer,
      run: (userIds) => this.#readAll(userIds),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  /** @throws {ImError} when the store is away */
  async read(userIds: readonly string[]): Promise<Map<string, Recipient>> {
    const distinct = [...new Set(userIds)];
    const [targets, contacts] = await Promise.all([
      this.#store.pushTargets(distinct),
      this.#store.pushStore.readContacts(distinct),
    ]);
    const devices = Map.groupBy(targets, ({ userId }) => userId);
    const contactOf = new Map(contacts.map((contact) => [contact.userId, contact]));
    return new Map(
      distinct.map((userId) => {
        const own = devices.get(userId) ?? [];
        const contact = contactOf.get(userId) ?? { userId, phone: "", wechat: "", timeZone: "" };
        return [userId, { devices: own, contact, readSeq: readSeq(this.#policy, own) }];
      }),
    );
  }

  /** Highest inbox seq that counts as read now. @throws {ImError} when the store is away */
  currentReadSeq(userId: string): Promise<number> {
    return this.#readSeqs.call(userId);
  }

  /** The messages that exist, by {@link eventKey}. @throws {ImError} when the store is away */
  async events(wanted: readonly { userId: string; inboxSeq: number }[]): Promise<Map<string, PushEvent>> {
    const found = new Map<string, PushEvent>();
    for (const { userId, inboxSeq } of [...wanted].sort((a, b) => a.inboxSeq - b.inboxSeq)) {
      if (found.has(eventKey({ userId, inboxSeq }))) continue;
      const { events, head } = await this.#store.readInbox({
        userId,
        cursor: inboxSeq - 1,
        limit: PAGE_EVENTS,
        limitBytes: PAGE_BYTES,
      });
      // What was recalled meanwhile is not there any more, and a change wakes nobody.
      for (const event of events)
        if (!isSilentType(event.contentType))
          found.set(eventKey({ userId, inboxSeq: event.inboxSeq }), { event, head });
    }
    return found;
  }

  async #readAll(userIds: readonly string[]): Promise<number[]> {
    const devices = Map.groupBy(await this.#store.pushTargets([...new Set(userIds)]), ({ userId }) => userId);
    return userIds.map((userId) => readSeq(this.#policy, devices.get(userId) ?? []));
  }
}

/** Key of {@link Recipients.events}. */
export function eventKey({ userId, inboxSeq }: { userId: string; inboxSeq: number }): string {
  return `${inboxSeq}:${userId}`;
}
