// SPDX-License-Identifier: Apache-2.0
import { tenantOf } from "#lib/tenant.ts";
import { Command, Flag } from "#proto/commands.ts";
import { SysPage } from "#proto/gen/messages.ts";
import { type BroadcastTarget, writeBroadcast } from "#proto/uplink/broadcast-record.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryPort, Session } from "../session/session.ts";
import type { BroadcastStore, OpenPart } from "../store/broadcast-store.ts";
import { type Audiences, OLD_READER } from "./audience.ts";
import type { BoardNews } from "./board.ts";
import { toMessage } from "./sys-pull.ts";

/** Users looked up together. */
const MAX_BATCH = 500;
const FLAGS = Flag.URGENT | Flag.NO_PERSIST;

/** An entry, and its sessions that are bound to this process. */
export interface BoundEntry extends EntryPort {
  readonly sessions: ReadonlyMap<number, Session>;
}

/** What {@link UrgentBroadcasts} needs. */
export interface UrgentPorts {
  entries: Iterable<BoundEntry>;
  store: Pick<BroadcastStore, "readers">;
  audiences: Pick<Audiences, "meant" | "contentOf">;
  nowMs: () => number;
  onFault: (op: string, error: unknown) => void;
}

/**
 * What is urgent goes to everybody who is connected, at once. For all users of a tenant it is one record per entry, from whichever logic is
 * first; for some of them each logic names the connections that are bound to it. What is lost on the way is pulled.
 */
export class UrgentBroadcasts {
  readonly #ports: UrgentPorts;
  #last: Promise<void> = Promise.resolve();
  #running = 0;

  constructor(ports: UrgentPorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#running === 0;
  }

  /** One after the other: entries take them by their seqs. */
  push(news: BoardNews): void {
    const urgent = news.fresh.filter((part) => part.urgent && part.notAfterMs > this.#ports.nowMs());
    for (const part of urgent) {
      this.#running++;
      this.#last = this.#last.then(() => this.#push(part, news)).finally(() => this.#running--);
    }
  }

  async #push(part: OpenPart, { tenant, head, epoch }: BoardNews): Promise<void> {
    const { entries, audiences, onFault } = this.#ports;
    try {
      const messages = [toMessage(part, await audiences.contentOf(part))];
      const frame = SysPage.encode({ inboxEpoch: epoch, messages, nextPosition: 0, head });
      const send = (entry: EntryPort, target: BroadcastTarget): void => {
        const fields = { cmd: Command.SYS_PAGE, flags: FLAGS, rid: epochMark(epoch), aux: part.activationSeq };
        entry.send({ kind: RecordKind.BROADCAST, ...fields, ...writeBroadcast(target, frame) });
      };
      if (part.audience === "all") for (const entry of entries) send(entry, { tenant });
      else await this.#pushToSome(part, tenant, send);
    } catch (error) {
      onFault("urgent broadcast", error);
    }
  }

  async #pushToSome(
    part: OpenPart,
    tenant: string,
    send: (entry: EntryPort, target: BroadcastTarget) => void,
  ): Promise<void> {
    const { entries, store, audiences } = this.#ports;
    const sessions = [...entries].flatMap((entry) => [...entry.sessions.values()]);
    const byUser = Map.groupBy(sessions, ({ userId }) => userId);
    const users = [...byUser.keys()].filter((userId) => tenantOf(userId) === tenant);
    for (let at = 0; at < users.length; at += MAX_BATCH) {
      const batch = users.slice(at, at + MAX_BATCH);
      const readers = await store.readers(batch);
      const candidates = batch.map((userId) => ({ userId, reader: readers.get(userId) ?? OLD_READER }));
      const meant = await audiences.meant(part, candidates);
      const byEntry = Map.groupBy(
        meant.flatMap(({ userId }) => byUser.get(userId) ?? []),
        ({ entry }) => entry,
      );
      for (const [entry, own] of byEntry) send(entry, { conns: own.map(({ conn }) => conn) });
    }
  }
}
