// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Command } from "#proto/commands.ts";
import { GroupReply } from "#proto/gen/messages.ts";
import type { Outgoing } from "../deliver/deliver.ts";
import type { EphemeralFrames } from "../deliver/ephemeral.ts";
import { BoundedMap } from "../policy/bounded-map.ts";
import type { GroupAudience, GroupStore } from "../store/groups.ts";
import type { Defer } from "../tick-batch.ts";

/** Members whose routes are looked up at once. */
const PORTION = 500;
/** Groups whose members are remembered: at most some megabytes each. */
const MAX_GROUPS = 20;
/** Messages of one group that wait: more are not shown at once, but read. */
const MAX_WAITING = 100;

/** What {@link LargeNotices} needs. */
export interface LargeNoticePorts {
  store: Pick<GroupStore, "audience">;
  ephemeral: Pick<EphemeralFrames, "send">;
  clock: Clock;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
}

/**
 * Shows messages of large groups to the members who are online, at once and with their content; nothing is stored for it, and nothing
 * comes of it when it fails: who missed one sees the hole, and reads it by HISTORY. Who is a member is read at the version of the group at
 * which the message was stored, or a later one: nobody gets what was said before or after the time in the group.
 */
export class LargeNotices {
  readonly #ports: LargeNoticePorts;
  readonly #waiting = new Map<string, Outgoing[]>();
  readonly #audiences = new BoundedMap<GroupAudience>(MAX_GROUPS);

  constructor(ports: LargeNoticePorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  /** @param outgoing of a large group, committed */
  tell(outgoing: Outgoing): void {
    const { conversationId } = outgoing.event;
    const waiting = this.#waiting.get(conversationId);
    if (waiting) {
      if (waiting.length < MAX_WAITING) waiting.push(outgoing);
      return;
    }
    this.#waiting.set(conversationId, [outgoing]);
    // It reports its faults.
    void this.#run(conversationId);
  }

  async #run(conversationId: string): Promise<void> {
    const { onFault } = this.#ports;
    for (let next = this.#take(conversationId); next; next = this.#take(conversationId)) {
      try {
        await this.#show(conversationId, next);
      } catch (error) {
        onFault("large group", error);
      }
    }
  }

  /** Undefined: nothing waits any more. */
  #take(conversationId: string): Outgoing[] | undefined {
    const waiting = this.#waiting.get(conversationId) ?? [];
    if (waiting.length === 0) this.#waiting.delete(conversationId);
    else this.#waiting.set(conversationId, []);
    return waiting.length === 0 ? undefined : waiting;
  }

  async #show(conversationId: string, messages: readonly Outgoing[]): Promise<void> {
    const version = Math.max(...messages.map(({ largeVersion = 0 }) => largeVersion));
    const audience = await this.#audience(conversationId, version);
    if (!audience) return;
    for (let from = 0; from < audience.members.length; from += PORTION) {
      for (const message of messages) this.#toPortion(message, audience, from);
      // The lookup of each portion is one of its own.
      await new Promise<void>((resolve) => void this.#ports.defer(resolve));
    }
  }

  #toPortion({ event, recipients }: Outgoing, { members, joinedSeqs }: GroupAudience, from: number): void {
    const userIds: string[] = [];
    const has = new Set(recipients.map(({ userId }) => userId));
    for (let at = from; at < Math.min(from + PORTION, members.length); at++) {
      const userId = members[at] ?? "";
      if (!has.has(userId) && (joinedSeqs[at] ?? 0) < event.convSeq) userIds.push(userId);
    }
    const { conversationId } = event;
    const body = GroupReply.encode({ conversationId, events: [{ ...event, inboxSeq: 0 }] });
    this.#ports.ephemeral.send({ userIds, cmd: Command.GROUP, body });
  }

  async #audience(conversationId: string, version: number): Promise<GroupAudience | undefined> {
    const known = this.#audiences.get(conversationId);
    if (known && known.version >= version) return known;
    const audience = await this.#ports.store.audience(conversationId);
    if (audience) this.#audiences.set(conversationId, audience);
    return audience;
  }
}
