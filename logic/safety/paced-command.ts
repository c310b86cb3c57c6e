// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { type Asked, answer, refusalOf, refuse, tooFast } from "../conversations/answers.ts";
import type { Gate } from "../gate.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Refusal } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import { OVERLOADED } from "./answers.ts";

/** What {@link PacedCommand} needs. */
export interface PacedCommandPorts {
  gate: Gate;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "chatCommands">;
}

/** How a command is called, and how often a session may send it. */
export interface PacedCommandNames {
  /** For figures and faults. */
  readonly name: string;
  /** For its user. */
  readonly title: string;
  readonly pace: { readonly perSecond: number; readonly burst: number };
}

/** Answers one kind of request: at the pace of its session, a bounded number at a time, each once, and counts what came of it. */
export class PacedCommand {
  readonly #ports: PacedCommandPorts;
  readonly #names: PacedCommandNames;
  readonly #pace: SessionPace;

  constructor(ports: PacedCommandPorts, names: PacedCommandNames) {
    this.#ports = ports;
    this.#names = names;
    this.#pace = new SessionPace({ ...names.pace, clock: ports.clock });
  }

  /** @param request what was asked, or what is wrong with it @param run the answer, or why there is none; a fault is one for the store */
  handle<T extends object>(
    asked: Asked,
    request: T | Refusal,
    run: (request: T) => Promise<Uint8Array | Refusal>,
  ): void {
    if (isRefusal(request)) {
      this.#refuse(asked, request);
      return;
    }
    const waitMs = this.#pace.take(asked.session);
    if (waitMs > 0) this.#refuse(asked, tooFast(this.#names.title, waitMs));
    else
      this.#ports.gate.enter(
        () => this.#run(asked, () => run(request)),
        () => this.#refuse(asked, OVERLOADED),
      );
  }

  async #run(asked: Asked, run: () => Promise<Uint8Array | Refusal>): Promise<void> {
    const { onFault, random } = this.#ports;
    const { name } = this.#names;
    try {
      const result = await run();
      if (isRefusal(result)) {
        this.#refuse(asked, result);
        return;
      }
      this.#count("ok");
      answer(asked, result);
    } catch (error) {
      onFault(name, error);
      this.#count("failed");
      refuse(asked, refusalOf(error, random));
    }
  }

  #refuse(asked: Asked, refusal: Refusal): void {
    this.#count("refused");
    refuse(asked, refusal);
  }

  #count(result: string): void {
    this.#ports.metrics.chatCommands.inc({ command: this.#names.name, result });
  }
}

/** Requests have no `code`, and answers are bytes. */
function isRefusal(value: object): value is Refusal {
  return "code" in value;
}
