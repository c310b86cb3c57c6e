// SPDX-License-Identifier: Apache-2.0
import type { HistoryEvent } from "../checker/history.ts";
import { type Plan, RESTORE_FELT_MS } from "./plan.ts";
import type { World } from "./world.ts";

/** A restore of the database, and what it took from the history. */
export class Restore {
  readonly #world: World;
  readonly #lost = new Set<string>();
  #length = 0;

  constructor(world: World, plan: Required<Plan>["restore"]) {
    this.#world = world;
    const { kernel } = world;
    world.keepJournal();
    kernel.after(plan.asOfMs, undefined, () => {
      this.#length = world.journalLength;
    });
    kernel.after(plan.atMs, undefined, () => void this.#restore());
  }

  async #restore(): Promise<void> {
    const world = this.#world;
    const before = await messagesOf(world);
    await world.restore(this.#length);
    const left = await messagesOf(world);
    for (const name of before) if (!left.has(name)) this.#lost.add(name);
    const { nowMs } = world.kernel;
    const what = `the database is as it was: ${this.#lost.size} messages are gone`;
    world.record({ op: "fault", kind: "info", process: "nemesis", what, untilMs: nowMs + RESTORE_FELT_MS });
  }

  /** Without what the database forgot: nobody promises it any more. What was not acknowledged is sent again. */
  judged(history: readonly HistoryEvent[]): HistoryEvent[] {
    const isLost = (event: HistoryEvent): boolean => {
      if (event.op === "receive") return this.#lost.has(nameOf(event.sender, event.cmid, event.messageId));
      return event.op === "push" && [...this.#lost].some((name) => name.endsWith(`/${event.messageId}`));
    };
    const settled = new Set<string>();
    for (const event of history)
      if (event.op === "send" && this.#lost.has(nameOf(event.uid, event.cmid, event.messageId)))
        settled.add(`${event.uid}/${event.cmid}`);
    return history.filter(
      (event) => !isLost(event) && !(event.op === "send" && settled.has(`${event.uid}/${event.cmid}`)),
    );
  }
}

function nameOf(sender: string, cmid: string, messageId: string | undefined): string {
  return `${sender}/${cmid}/${messageId}`;
}

async function messagesOf({ database, users }: World): Promise<Set<string>> {
  const names = new Set<string>();
  for (const userId of users) {
    const limit = Number.MAX_SAFE_INTEGER;
    const { events } = await database.readInbox({ userId, cursor: 0, limit, limitBytes: limit });
    for (const { sender, clientMessageId, messageId } of events) names.add(nameOf(sender, clientMessageId, messageId));
  }
  return names;
}
