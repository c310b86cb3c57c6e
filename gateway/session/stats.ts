// SPDX-License-Identifier: Apache-2.0
import { AnswerMeter } from "./answer-meter.ts";
import { LoginMeter } from "./login-meter.ts";
import { SampledTimes } from "./sampled-times.ts";

/** Devices that never acknowledge keep a place for a minute. */
const MAX_OPEN_ACKS = 512;

/** Plain counters of one entry: a field increment on the hot path; `metrics.ts` reads them at scrape time. */
export class EntryStats {
  framesIn = 0;
  framesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Writes to sockets: framesOut / writes says how well frames are joined. */
  writes = 0;
  commands = 0;
  delivered = 0;
  /** Deliveries dropped because a client does not read; it is told to pull. */
  deliveriesDropped = 0;
  /** Frames that mean something only now, dropped because the client reads slowly. */
  ephemeralDropped = 0;
  /** Frames of broadcasts, one per client. */
  broadcastsOut = 0;
  unreachable = 0;
  slowConsumers = 0;
  rejectedBusy = 0;
  /** Messages that could not be handed to any logic: their clients try again. */
  readonly sendsFailed = { busy: 0, retryable: 0 };
  /** Times a connection was not read for a while because it sent too much. */
  readsPaused = 0;
  /** Messages answered RATE_LIMITED. */
  messagesLimited = 0;
  opened = 0;
  readonly logins: LoginMeter = new LoginMeter();
  uplinkBatches = 0;
  uplinkBytes = 0;
  readonly answers: AnswerMeter = new AnswerMeter();
  /** From the first delivery that waits for it to the acknowledgement of the device, by a sample. */
  readonly acks: SampledTimes = new SampledTimes(MAX_OPEN_ACKS);
}
