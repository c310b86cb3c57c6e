// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { StatusReply } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicAudience } from "./session/uplink-port.ts";

/** Some hundred bytes for each logic; a drain is seen to go on. */
export const REPORT_INTERVAL_MS = 2000;

/** What {@link StatusReporter} needs. */
export interface StatusReporterPorts {
  report: () => StatusReply;
  logics: LogicAudience;
  clock: Clock;
}

/** Tells every logic how this entry is, for people who look at the fleet. Nothing else depends on it. */
export class StatusReporter {
  readonly #ports: StatusReporterPorts;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(ports: StatusReporterPorts) {
    this.#ports = ports;
  }

  /** Reports now, as somebody new may listen, and from then on every 2 s. */
  start(): void {
    if (this.#isStopped) return;
    this.#cancel?.();
    this.#tell();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #tell(): void {
    const { report, logics, clock } = this.#ports;
    this.#cancel = clock.after(REPORT_INTERVAL_MS, () => this.#tell());
    logics.tellAll({ kind: RecordKind.REPORT, body: StatusReply.encode(report()) });
  }
}
