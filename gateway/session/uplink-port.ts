// SPDX-License-Identifier: Apache-2.0
import type { RecordInput } from "#proto/uplink/record.ts";

/** One attached logic, as a session sees it: sessions stay with one while it lives. */
export interface LogicPort {
  /** Name for logs. */
  readonly name: string;
  /** False once it left or its stream closed: choose another. */
  readonly isUsable: boolean;
  /** Sessions and logins that chose it: the measure of "least loaded". */
  load: number;
  /** Queues a record; false, and nothing queued, when its queue is full: answer BUSY. */
  send(record: RecordInput): boolean;
  /** Queues a record even when the queue is full: for the few that keep state right (BIND, CLOSED). */
  sendControl(record: RecordInput): void;
}

/** Everybody who may deliver to a session. */
export interface LogicAudience {
  /** How many have been attached so far: a change means that somebody has heard nothing yet. */
  readonly attaches: number;
  /** Queues a hint for each logic that is attached and has room. */
  tellAll(record: RecordInput): void;
}

/** What sessions need of the uplink. */
export interface LogicDirectory {
  /** The least loaded usable logic; undefined when there is none. */
  choose(): LogicPort | undefined;
}
