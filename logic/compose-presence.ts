// SPDX-License-Identifier: Apache-2.0
import type { LogicPorts } from "./compose.ts";
import { Gate } from "./gate.ts";
import { type HookSettings, wantsEvent } from "./hooks/hook-settings.ts";
import { PresenceTeller } from "./hooks/presence-teller.ts";
import type { ChangeLog } from "./presence/change-log.ts";
import { ChangeNotes } from "./presence/change-notes.ts";
import { PeerWatcher } from "./presence/peer-watcher.ts";
import { NO_PRESENCE, type PresenceDesk, PresenceHandler } from "./presence/presence-handler.ts";
import type { RouterMemory } from "./presence/router-memory.ts";
import type { Router } from "./router/router.ts";

/** Questions for presence under way: each is a query, and none may crowd out a pull. */
const PRESENCE_GATE = { maxRunning: 2, maxWaiting: 2000, maxWaitMs: 2000 };

type Changes = Pick<Router, "login" | "logout">;

/** Presence for clients, as the rest of logic sees it. */
export interface PresenceParts {
  readonly desk: PresenceDesk;
  /** Undefined: clients see nobody. */
  readonly watcher: PeerWatcher | undefined;
  /** Changes of routes that are told to those who watch. */
  noting(changes: Changes): Changes;
  /** A session of the user came or went. */
  note(userId: string): void;
  isIdle(): boolean;
  close(): void;
}

const NOBODY: PresenceParts = {
  desk: NO_PRESENCE,
  watcher: undefined,
  noting: (changes) => changes,
  note: () => undefined,
  isIdle: () => true,
  close: () => undefined,
};

function composeTeller(
  { store, router, clock, random, onFault }: LogicPorts,
  hooks: () => HookSettings,
  memory: RouterMemory,
): PresenceTeller {
  const isWanted = (): boolean => wantsEvent(hooks(), "presence");
  return new PresenceTeller({ store: store.hooks, router, memory, isWanted, clock, random, onFault });
}

/** Who comes and goes is noted for webhooks, too. */
function telling(parts: PresenceParts, teller: PresenceTeller): PresenceParts {
  teller.start();
  return {
    ...parts,
    noting: (changes) => teller.noting(parts.noting(changes)),
    note: (userId) => {
      parts.note(userId);
      teller.note(userId);
    },
    close: () => {
      void teller.stop();
      parts.close();
    },
  };
}

/** Without a change log and without hooks nothing runs and nothing is written. */
export function composePresence(ports: LogicPorts, memory: RouterMemory): PresenceParts {
  const { changeLog: log, hooks } = ports;
  const parts = log ? composeWatching(ports, log, memory) : NOBODY;
  return hooks ? telling(parts, composeTeller(ports, hooks, memory)) : parts;
}

function composeWatching(
  { store, router, clock, onFault, metrics }: LogicPorts,
  log: ChangeLog,
  memory: RouterMemory,
): PresenceParts {
  const gate = new Gate({ clock, ...PRESENCE_GATE });
  const notes = new ChangeNotes({ log, clock, onFault });
  const watcher = new PeerWatcher({ log, router, memory, clock, onFault, metrics });
  const desk = new PresenceHandler({ store, router, watcher, memory, gate, clock, onFault, metrics });
  return {
    desk,
    watcher,
    noting: (changes) => notes.noting(changes),
    note: (userId) => notes.note(userId),
    isIdle: () => gate.running === 0,
    close: () => {
      desk.close();
      watcher.close();
      notes.close();
    },
  };
}
