// SPDX-License-Identifier: Apache-2.0
import { type CommandHandlers, joinHandlers } from "./command-handlers.ts";
import type { LogicPorts } from "./compose.ts";
import { composeConversations } from "./conversations/compose-conversations.ts";
import type { Delivery, Outgoing } from "./deliver/deliver.ts";
import { EphemeralFrames } from "./deliver/ephemeral.ts";
import type { RouteCache } from "./deliver/route-cache.ts";
import { composeGroups } from "./groups/compose-groups.ts";
import type { EpochWatch } from "./inbox/epoch-watch.ts";
import type { ReadDesk } from "./inbox/read-desk.ts";
import { composeSafety } from "./safety/compose-safety.ts";
import type { EntryDirectory } from "./session/session.ts";
import type { GroupCommit } from "./store/group-commit.ts";

/** What the delivery core lends to the parts of the chat. */
export interface ChatCore {
  /** Frames for whoever is connected, stored nowhere. */
  readonly ephemeral: EphemeralFrames;
  /** Stores a message in the next transaction; false: overloaded, nothing was done. */
  readonly submit: GroupCommit["submit"];
  /** Hands a committed message to its recipients. */
  readonly deliver: Delivery["deliver"];
  readonly messageId: () => string;
  readonly epochs: EpochWatch;
  /** Shows what was said in large groups; the part of groups sets it. */
  readonly large: { tell: ((outgoing: Outgoing) => void) | undefined };
  /** Bounds work on SQL, and answers what cannot be read. */
  readonly desk: ReadDesk;
  /** Something for whoever watches presence, in any logic: a user, or two who parted. */
  readonly presenceNote: (entry: string) => void;
  /** Recalls, edits and cards: SEND needs them, too. */
  readonly changing: ChatPart;
  readonly broadcasts: ChatPart;
}

/** What {@link composeChat} makes the rest of {@link ChatCore} of. */
export interface ChatWays extends Omit<ChatCore, "ephemeral"> {
  readonly entries: EntryDirectory;
  readonly routes: Pick<RouteCache, "lookup">;
  readonly onRouterFault: (op: string, error: unknown) => void;
}

/** One part of the chat: conversations, changes, groups and so on. Its `compose-*.ts` makes it. */
export interface ChatPart {
  readonly commands: CommandHandlers;
  /** Nothing taken is unanswered. */
  isIdle(): boolean;
  /** Releases timers. */
  close(): void;
}

/** Everything that a marketplace's chat has beyond delivery: one line for each part. */
function chatParts(ports: LogicPorts, core: ChatCore): readonly ChatPart[] {
  const { changing, broadcasts } = core;
  return [
    composeConversations(ports, core),
    changing,
    composeGroups(ports, core),
    composeSafety(ports, core),
    broadcasts,
  ];
}

/** The parts of the chat as one. */
export function composeChat(ports: LogicPorts, { entries, routes, onRouterFault, ...core }: ChatWays): ChatPart {
  const { defer, metrics } = ports;
  const ephemeral = new EphemeralFrames({ entries, routes, onRouterFault, defer, metrics });
  const parts = chatParts(ports, { ...core, ephemeral });
  return {
    commands: joinHandlers(parts.map(({ commands }) => commands)),
    isIdle: () => ephemeral.isIdle && parts.every((part) => part.isIdle()),
    close: () => {
      for (const part of parts) part.close();
    },
  };
}
