// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiFault, type ApiFaults, type FaultDice, HELD_BACK_MS, type WatchFate } from "./api-faults.ts";

const GONE = { kind: "Status", apiVersion: "v1", status: "Failure", code: 410, reason: "Expired" };

/** The body of a 410, in an answer or in an event. */
export const GONE_STATUS = { ...GONE, message: "too old resource version: the proxy says so" };

interface Event {
  line: string;
  /** UID; empty for a bookmark. */
  object: string;
}

/** One watch on its way through the proxy: takes the lines of the server, hands them on with faults. */
export class WatchRelay {
  readonly #response: ServerResponse;
  readonly #faults: () => ApiFaults;
  readonly #dice: FaultDice;
  readonly #fate: WatchFate | undefined;
  readonly #happened: (fault: ApiFault) => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** The event before, by object. */
  readonly #former = new Map<string, string>();
  #held: Event | undefined;
  #events = 0;
  #isOver = false;

  constructor(options: {
    response: ServerResponse;
    faults: () => ApiFaults;
    dice: FaultDice;
    happened: (fault: ApiFault) => void;
  }) {
    this.#response = options.response;
    this.#faults = options.faults;
    this.#dice = options.dice;
    this.#happened = options.happened;
    this.#fate = options.dice.ofWatch(options.faults());
  }

  /** Until the server or the client ends it. */
  async run(upstream: IncomingMessage): Promise<void> {
    this.#response.on("close", () => upstream.destroy());
    this.#response.writeHead(200, { "content-type": "application/json" });
    this.#response.flushHeaders();
    if (this.#fate) this.#later(this.#fate.afterMs, () => this.#end());
    upstream.setEncoding("utf8");
    let rest = "";
    try {
      for await (const chunk of upstream as AsyncIterable<string>) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        // One by one: a delay is no change of their order.
        for (const line of lines) if (line !== "") await this.#take(line);
      }
      this.#release();
      // A half-open one stays: its client has to find out by itself.
      if (!this.#isOver) this.#response.end();
    } finally {
      for (const timer of this.#timers) clearTimeout(timer);
    }
  }

  async #take(line: string): Promise<void> {
    const delayMs = this.#dice.delayMs(this.#faults());
    if (delayMs > 0) {
      this.#happened("delayed");
      await sleep(delayMs);
    }
    if (this.#isOver) return;
    if (this.#fate && this.#events++ >= this.#fate.afterEvents) return this.#end(line);
    const event = { line, object: uidOf(line) };
    const before = this.#held;
    if (!before && this.#dice.throw(this.#faults().reordered)) {
      this.#held = event;
      this.#later(HELD_BACK_MS, () => this.#release());
      return;
    }
    this.#held = undefined;
    this.#send(event);
    if (!before) return;
    this.#happened(before.object === event.object ? "overtaken" : "reordered");
    this.#send(before);
  }

  #send({ line, object }: Event): void {
    if (this.#isOver) return;
    this.#response.write(`${line}\n`);
    if (this.#dice.throw(this.#faults().duplicated)) {
      this.#happened("duplicated");
      this.#response.write(`${line}\n`);
    }
    if (object === "") return;
    const former = this.#former.get(object);
    if (former !== undefined && former !== line && this.#dice.throw(this.#faults().late)) {
      this.#happened("late");
      this.#response.write(`${former}\n`);
    }
    this.#former.set(object, line);
  }

  /** Nothing came that could overtake it. */
  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#send(held);
  }

  #end(line = '{"type":"ADDED","object":{}}'): void {
    if (this.#isOver || !this.#fate) return;
    this.#isOver = true;
    this.#happened(this.#fate.end);
    if (this.#held) this.#happened("lost");
    switch (this.#fate.end) {
      case "goneEvent":
        this.#response.end(`${JSON.stringify({ type: "ERROR", object: GONE_STATUS })}\n`);
        return;
      case "cut":
        this.#response.write(line.slice(0, line.length / 2), () => this.#response.socket?.destroy());
        return;
      case "halfOpen":
    }
  }

  #later(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }
}

function uidOf(line: string): string {
  const { object } = JSON.parse(line) as { object?: { metadata?: { uid?: string } } };
  return object?.metadata?.uid ?? "";
}
