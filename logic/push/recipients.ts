// SPDX-License-Identifier: Apache-2.0

import { Gathered } from "../gathered.ts";
import { isSilentType } from "../store/changes.ts";
import type { InboxPosition, PushContact, PushStore, PushSubject } from "../store/push-store.ts";
import type { PushTarget, Store } from "../store/store.ts";
import type { Defer } from "../tick-batch.ts";
import { type PushPolicy, readSeq } from "./policy.ts";

const MAX_BATCH = 200;
const MAX_WAITING = 20_000;

/** A user, and what reaches them. */
export interface Recipient {
  readonly devices: readonly PushTarget[];
  readonly contact: PushContact;
  /** Highest inbox seq that counts as read. */
  readonly readSeq: number;
}

/** The store's part that is read for a push. */
export type RecipientStore = Pick<Store, "pushTargets"> & {
  readonly pushStore: Pick<PushStore, "readContacts" | "readSubjects">;
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
  async events(wanted: readonly InboxPosition[]): Promise<Map<string, PushSubject>> {
    const distinct = new Map(
      wanted.map(({ userId, inboxSeq }) => [eventKey({ userId, inboxSeq }), { userId, inboxSeq }]),
    );
    const subjects = await this.#store.pushStore.readSubjects([...distinct.values()]);
    // What was recalled meanwhile is not there any more, and a change wakes nobody.
    const found = subjects.filter(({ contentType }) => !isSilentType(contentType));
    return new Map(found.map((subject) => [eventKey(subject), subject]));
  }

  async #readAll(userIds: readonly string[]): Promise<number[]> {
    const devices = Map.groupBy(await this.#store.pushTargets([...new Set(userIds)]), ({ userId }) => userId);
    return userIds.map((userId) => readSeq(this.#policy, devices.get(userId) ?? []));
  }
}

/** Key of {@link Recipients.events}. */
export function eventKey({ userId, inboxSeq }: InboxPosition): string {
  return `${inboxSeq}:${userId}`;
}
