// SPDX-License-Identifier: Apache-2.0
import type { BroadcastReader, BroadcastStore, DeviceTraits, OpenPart } from "../store/broadcast-store.ts";
import { ByteCache } from "./byte-cache.ts";
import { isInSegment, type Segment } from "./segment.ts";
import { hasNumber } from "./user-numbers.ts";

/** A list of a million takes 130 KB to 2 MB. */
const LIST_CACHE_BYTES = 32 * 1024 * 1024;
const CONTENT_CACHE_BYTES = 16 * 1024 * 1024;
/** A user without a row: it was there before there were broadcasts. */
export const OLD_READER: BroadcastReader = {
  ...{ number: 0, floor: 0, watermark: 0 },
  ...{ registeredMs: 0, mutedTopics: [] },
};

/** Somebody who may be meant. */
export interface Candidate {
  readonly userId: string;
  readonly reader: BroadcastReader;
}

/** Who is meant by what is in force, and what it says. Lists and contents are kept in memory, up to a bound. */
export class Audiences {
  readonly #store: Pick<BroadcastStore, "usersOf" | "traits" | "content">;
  readonly #lists = new ByteCache(LIST_CACHE_BYTES);
  readonly #contents = new ByteCache(CONTENT_CACHE_BYTES);

  constructor(store: Pick<BroadcastStore, "usersOf" | "traits" | "content">) {
    this.#store = store;
  }

  /** Those of the candidates that are meant; never who first logged in when it was in force already, or wants none of the topic. @throws {ImError} as the store does */
  async meant(part: OpenPart, candidates: readonly Candidate[]): Promise<Candidate[]> {
    const there = candidates.filter(
      ({ reader }) => reader.floor < part.activationSeq && !reader.mutedTopics.includes(part.topic),
    );
    if (part.audience === "all" || there.length === 0) return there;
    if (part.audience === "users") {
      const list = await this.#listOf(part);
      return there.filter(({ reader }) => reader.number > 0 && hasNumber(list, reader.number));
    }
    const segment = JSON.parse(part.segment) as Segment;
    const devices = Map.groupBy(await this.#store.traits(there.map(({ userId }) => userId)), ({ userId }) => userId);
    return there.filter(({ userId, reader: { registeredMs } }) =>
      isInSegment(segment, { registeredMs, devices: devices.get(userId) ?? NO_DEVICES }),
    );
  }

  /** @throws {ImError} as the store does */
  contentOf({ broadcastId }: OpenPart): Promise<Uint8Array> {
    const load = async (): Promise<Uint8Array> => (await this.#store.content(broadcastId)) ?? new Uint8Array(0);
    return this.#contents.get(broadcastId, load);
  }

  /** A part that is in force never changes. */
  #listOf({ broadcastId, part }: OpenPart): Promise<Uint8Array> {
    return this.#lists.get(`${broadcastId}/${part}`, () => this.#store.usersOf(broadcastId, part));
  }
}

const NO_DEVICES: readonly DeviceTraits[] = [];
