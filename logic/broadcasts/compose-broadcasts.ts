// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicPorts } from "../compose.ts";
import type { ChatPart } from "../compose-chat.ts";
import type { ReadDesk } from "../inbox/read-desk.ts";
import type { EntryPort } from "../session/session.ts";
import { Audiences } from "./audience.ts";
import { BroadcastBoard } from "./board.ts";
import { SysPullHandler } from "./sys-pull.ts";
import { type BoundEntry, UrgentBroadcasts } from "./urgent.ts";
import { Watermarks } from "./watermarks.ts";

/** Broadcasts, as the rest of logic sees them. */
export interface BroadcastParts extends ChatPart {
  readonly board: BroadcastBoard;
  /** An entry is attached from now on: it learns where the newest ones are. */
  attached(entry: EntryPort): void;
  /** Writes what users have acknowledged. */
  flush(): Promise<void>;
}

/** SYS_PULL, and what comes into force. @param entries those attached, with the sessions that are bound here */
export function composeBroadcasts(
  { store, clock, defer, onFault }: LogicPorts,
  { entries, desk }: { entries: Iterable<BoundEntry>; desk: ReadDesk },
): BroadcastParts {
  const { broadcasts } = store;
  const audiences = new Audiences(broadcasts);
  const tell = (entry: EntryPort, tenant: string, head: number): void =>
    void entry.send({ kind: RecordKind.SYS_HEAD, aux: head, rid: epochMark(board.epoch), body: Buffer.from(tenant) });
  const board = new BroadcastBoard({
    store: broadcasts,
    clock,
    onFault,
    onNews: (news) => {
      for (const entry of entries) tell(entry, news.tenant, news.head);
      urgent.push(news);
    },
  });
  const urgent = new UrgentBroadcasts({ entries, store: broadcasts, audiences, nowMs: () => board.nowMs, onFault });
  const marks = new Watermarks({ store: broadcasts, clock, epoch: () => board.epoch, onFault });
  const pull = new SysPullHandler({ store: broadcasts, board, audiences, marks, desk, defer });
  return {
    board,
    commands: new Map([[Command.SYS_PULL, pull.handle.bind(pull)]]),
    attached: (entry) => {
      for (const { tenant, head } of board.heads()) tell(entry, tenant, head);
    },
    flush: () => marks.flush(),
    isIdle: () => urgent.isIdle,
    close: () => {
      board.stop();
      marks.close();
    },
  };
}
