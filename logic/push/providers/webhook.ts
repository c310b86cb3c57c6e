// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { idInTenant, tenantOf } from "#lib/tenant.ts";
import { writeTraceparent } from "#lib/tracing/trace-context.ts";
import { signature } from "../../webhook/signature.ts";
import type { PushNotification, PushProvider, PushRequest, PushResult } from "../provider.ts";
import { callHttp, failure, isRetryableStatus } from "./http-call.ts";

/** Options of {@link WebhookProvider}. */
export interface WebhookOptions {
  url: string;
  /** Key of the signature; "" = unsigned. */
  secret: string;
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

/** POSTs notifications to one URL of the business, which knows its users' addresses itself. */
export class WebhookProvider implements PushProvider {
  readonly name = "webhook";
  readonly #options: WebhookOptions;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  async push({ notification, trace }: PushRequest, signal: AbortSignal): Promise<PushResult> {
    const { url, secret, clock, timeoutMs } = this.#options;
    const body = JSON.stringify(shown(notification));
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (secret !== "") headers["x-im-signature"] = signature(secret, Math.floor(clock.wallMs() / 1000), body);
    if (trace) headers.traceparent = writeTraceparent(trace);
    const answer = await callHttp({ url, headers, body, signal, timeoutMs, wallMs: () => clock.wallMs() });
    if (answer.kind === "failed") return answer;
    const { status, retryAfterMs } = answer;
    if (status >= 200 && status < 300) return { kind: "accepted" };
    const reason = `the webhook answered ${status}`;
    if (isRetryableStatus(status) || status < 400) return failure(reason, retryAfterMs);
    return { kind: "rejected", reason };
  }

  close(): void {
    // Connections belong to the process.
  }
}

/** Ids as the tenant of the user knows them; one URL is told of all tenants, so it is named unless it is the default one. */
function shown(notification: PushNotification): PushNotification & { tenant?: string } {
  const { userId, sender } = notification;
  const tenant = tenantOf(userId);
  if (tenant === "") return notification;
  return { ...notification, tenant, userId: idInTenant(userId), sender: idInTenant(sender) };
}
