// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { signature } from "../../webhook/signature.ts";
import type { PushProvider, PushRequest, PushResult } from "../provider.ts";
import { callHttp, failure, isRetryableStatus } from "./http-call.ts";
import { fillTemplate } from "./template-data.ts";

/** Options of {@link SmsProvider}. */
export interface SmsOptions {
  url: string;
  /** Key of the signature. */
  secret: string;
  /** Name of the text at the gateway. */
  template: string;
  /** Parameter of the text to its value; see {@link fillTemplate}. */
  params: Readonly<Record<string, string>>;
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

/**
 * Any SMS gateway behind a small HTTP contract: POST `{id, to, template, params}`, signed like the webhook
 * (X-Im-Signature). The same `id` twice is the same message. 2xx took it, 404 and 410 mean that the number is dead.
 */
export class SmsProvider implements PushProvider {
  readonly name = "sms";
  readonly #options: SmsOptions;

  constructor(options: SmsOptions) {
    this.#options = options;
  }

  async push({ address, notification, collapseKey }: PushRequest, signal: AbortSignal): Promise<PushResult> {
    const { url, secret, template, params, clock, timeoutMs } = this.#options;
    const id = `${collapseKey}.${notification.inboxSeq}`;
    const body = JSON.stringify({ id, to: address, template, params: fillTemplate(params, notification) });
    const headers = {
      "content-type": "application/json",
      "x-im-signature": signature(secret, Math.floor(clock.wallMs() / 1000), body),
    };
    const answer = await callHttp({ url, headers, body, signal, timeoutMs, wallMs: () => clock.wallMs() });
    if (answer.kind === "failed") return answer;
    const { status, retryAfterMs } = answer;
    if (status >= 200 && status < 300) return { kind: "accepted" };
    const reason = `the SMS gateway answered ${status}`;
    if (status === 404 || status === 410) return { kind: "gone", reason };
    if (isRetryableStatus(status) || status < 400) return failure(reason, retryAfterMs);
    return { kind: "rejected", reason };
  }

  close(): void {
    // Connections belong to the process.
  }
}
