// SPDX-License-Identifier: Apache-2.0
import { createHmac, randomUUID } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import type { PushProvider, PushRequest, PushResult } from "../provider.ts";
import { callHttp, failure, type HttpAnswer } from "./http-call.ts";
import { fillTemplate } from "./template-data.ts";

const VERSION = "2017-05-25";
/** Limits per number and template, a day at most: an hour later is early enough. */
const NUMBER_PAUSE_MS = 3_600_000;
const GONE: ReadonlySet<string> = new Set(["isv.MOBILE_NUMBER_ILLEGAL"]);
/** The account is at fault, not the message: out of money, out of service, wrong key. */
const ACCOUNT: ReadonlySet<string> = new Set([
  "isv.OUT_OF_SERVICE",
  "isv.AMOUNT_NOT_ENOUGH",
  "isv.ACCOUNT_ABNORMAL",
  "isp.SYSTEM_ERROR",
  "isp.RAM_PERMISSION_DENY",
  "SignatureDoesNotMatch",
  "InvalidAccessKeyId.NotFound",
  "InvalidAccessKeyId.Inactive",
  "InvalidTimeStamp.Expired",
  "ServiceUnavailable",
  "InternalError",
]);

/** Options of {@link AliyunSmsProvider}. */
export interface AliyunSmsOptions {
  /** Default https://dysmsapi.aliyuncs.com. */
  url: string;
  accessKeyId: string;
  accessKeySecret: string;
  signName: string;
  templateCode: string;
  params: Readonly<Record<string, string>>;
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

/** Percent-encoding as the signature wants it: RFC 3986, unreserved characters as they are. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Signature of an RPC request: HMAC-SHA-1 over method, path and the sorted parameters, in base64. */
export function rpcSignature(secret: string, method: string, params: Readonly<Record<string, string>>): string {
  const query = Object.keys(params)
    .sort()
    .map((name) => `${percentEncode(name)}=${percentEncode(params[name] ?? "")}`)
    .join("&");
  return createHmac("sha1", `${secret}&`)
    .update(`${method}&%2F&${percentEncode(query)}`)
    .digest("base64");
}

/** Alibaba Cloud SMS, action SendSms of the RPC API. */
export class AliyunSmsProvider implements PushProvider {
  readonly name = "sms";
  readonly #options: AliyunSmsOptions;

  constructor(options: AliyunSmsOptions) {
    this.#options = options;
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    const { url, accessKeySecret, clock, timeoutMs } = this.#options;
    const params = this.#params(request);
    const signed = { ...params, Signature: rpcSignature(accessKeySecret, "POST", params) };
    const answer = await callHttp({
      url: `${url}/`,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(signed).toString(),
      signal,
      timeoutMs,
      wallMs: () => clock.wallMs(),
    });
    return answer.kind === "failed" ? answer : judge(answer);
  }

  close(): void {
    // Connections belong to the process.
  }

  #params({ address, notification, collapseKey }: PushRequest): Record<string, string> {
    const { accessKeyId, signName, templateCode, params, clock } = this.#options;
    return {
      Action: "SendSms",
      Version: VERSION,
      Format: "JSON",
      AccessKeyId: accessKeyId,
      SignatureMethod: "HMAC-SHA1",
      SignatureVersion: "1.0",
      SignatureNonce: randomUUID(),
      Timestamp: `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`,
      PhoneNumbers: address,
      SignName: signName,
      TemplateCode: templateCode,
      TemplateParam: JSON.stringify(fillTemplate(params, notification)),
      OutId: `${collapseKey}.${notification.inboxSeq}`,
    };
  }
}

function judge({ status, body, retryAfterMs }: HttpAnswer): PushResult {
  const code = typeof body.Code === "string" && /^[\w.]{1,64}$/.test(body.Code) ? body.Code : "";
  if (status === 200 && code === "OK") return { kind: "accepted" };
  const reason = `Aliyun answered ${status} ${code}`.trim();
  if (GONE.has(code)) return { kind: "gone", reason };
  if (code === "isv.BUSINESS_LIMIT_CONTROL") return failure(reason, retryAfterMs ?? NUMBER_PAUSE_MS, "address");
  if (status === 429 || status >= 500 || code === "" || code.startsWith("Throttling") || ACCOUNT.has(code)) {
    return failure(reason, retryAfterMs);
  }
  return { kind: "rejected", reason };
}
