// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { PushFailure, PushProvider, PushRequest, PushResult } from "../provider.ts";
import { AccessToken, type IssuedToken } from "./access-token.ts";
import { callHttp, failure, type HttpAnswer } from "./http-call.ts";
import { fillTemplate } from "./template-data.ts";

const PATH = { template: "/cgi-bin/message/template/send", subscribe: "/cgi-bin/message/subscribe/send" } as const;

/** Answers of WeChat that mean something to us; all others refuse this one message. */
const ERRCODE = {
  ok: 0,
  busy: -1,
  /** The access token is wrong, too old, or malformed. */
  badToken: [40001, 40014, 42001],
  /** Not a user of this account (any more): wrong open id, no follower. */
  gone: [40003, 43004],
  /** Called too often: per minute, per day. */
  tooOften: [45009, 45011],
} as const;
const QUOTA_PAUSE_MS = 60_000;

/** Options of {@link WechatProvider}. */
export interface WechatOptions {
  /** Default https://api.weixin.qq.com. */
  url: string;
  appId: string;
  secret: string;
  /** `template`: of an official account; `subscribe`: of a mini program. */
  kind: "template" | "subscribe";
  templateId: string;
  /** Field of the template to its text; see {@link fillTemplate}. */
  data: Readonly<Record<string, string>>;
  /** Page of the mini program that a tap opens, or "". */
  page: string;
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

/**
 * WeChat template messages and subscription messages. Access tokens come from `stable_token`, which gives every
 * replica the same one; a token that is refused early is asked for again, by force only when WeChat insists on it.
 */
export class WechatProvider implements PushProvider {
  readonly name = "wechat";
  readonly #options: WechatOptions;
  readonly #token: AccessToken;
  #refused = "";

  constructor(options: WechatOptions) {
    this.#options = options;
    this.#token = new AccessToken(options.clock, (signal, isStale) => this.#issueToken(signal, isStale));
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    for (let attempt = 1; ; attempt++) {
      const token = await this.#token.get(signal);
      if (token.kind === "failed") return token;
      const answer = await this.#send(request, token.value, signal);
      if (answer.kind === "failed") return answer;
      const errcode = Number(answer.body.errcode ?? Number.NaN);
      if (!includes(ERRCODE.badToken, errcode)) return judge(answer, errcode);
      this.#refused = token.value;
      this.#token.refuse(token.value);
      if (attempt === 2) return failure(`WeChat answered ${errcode}`);
    }
  }

  close(): void {
    // Connections belong to the process.
  }

  #send(request: PushRequest, accessToken: string, signal: AbortSignal): Promise<HttpAnswer | PushFailure> {
    const { kind, templateId, data, page } = this.#options;
    const { address, notification } = request;
    const fields = Object.entries(fillTemplate(data, notification)).map(([name, value]) => [name, { value }]);
    const target =
      kind === "subscribe"
        ? { ...(page === "" ? {} : { page }) }
        : { client_msg_id: request.collapseKey, ...(page === "" ? {} : { url: page }) };
    const body = { touser: address, template_id: templateId, ...target, data: Object.fromEntries(fields) };
    return this.#post(`${PATH[kind]}?access_token=${encodeURIComponent(accessToken)}`, body, signal);
  }

  async #issueToken(signal: AbortSignal, isStale: boolean): Promise<IssuedToken | PushFailure> {
    const issued = await this.#askToken(signal, false);
    // Forcing is rationed: only when the usual way gives the refused token again.
    if (!isStale || issued.kind === "failed" || issued.value !== this.#refused) return issued;
    return await this.#askToken(signal, true);
  }

  async #askToken(signal: AbortSignal, isForced: boolean): Promise<IssuedToken | PushFailure> {
    const { appId, secret } = this.#options;
    const body = { grant_type: "client_credential", appid: appId, secret, force_refresh: isForced };
    const answer = await this.#post("/cgi-bin/stable_token", body, signal);
    if (answer.kind === "failed") return answer;
    const { access_token: value, expires_in: lifetimeS, errcode } = answer.body;
    if (typeof value !== "string" || typeof lifetimeS !== "number") {
      return failure(`WeChat gave no access token: ${answer.status} ${Number(errcode ?? 0)}`, answer.retryAfterMs);
    }
    return { kind: "issued", value, lifetimeMs: lifetimeS * 1000 };
  }

  #post(path: string, body: object, signal: AbortSignal): Promise<HttpAnswer | PushFailure> {
    const { url, clock, timeoutMs } = this.#options;
    return callHttp({
      url: `${url}${path}`,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
      timeoutMs,
      wallMs: () => clock.wallMs(),
    });
  }
}

function judge({ status, retryAfterMs }: HttpAnswer, errcode: number): PushResult {
  if (status !== 200 || Number.isNaN(errcode)) return failure(`WeChat answered ${status}`, retryAfterMs);
  if (errcode === ERRCODE.ok) return { kind: "accepted" };
  const reason = `WeChat answered ${errcode}`;
  if (errcode === ERRCODE.busy) return failure(reason, retryAfterMs);
  if (includes(ERRCODE.tooOften, errcode)) return failure(reason, retryAfterMs ?? QUOTA_PAUSE_MS);
  if (includes(ERRCODE.gone, errcode)) return { kind: "gone", reason };
  return { kind: "rejected", reason };
}

function includes(codes: readonly number[], errcode: number): boolean {
  return codes.includes(errcode);
}
