// SPDX-License-Identifier: Apache-2.0
import { createHmac } from "node:crypto";
import {
  type ProviderSandbox,
  readJson,
  type SandboxAnswer,
  type SandboxReply,
  type SandboxRequest,
  type SandboxVerdict,
  startHttpSandbox,
} from "./sandbox.ts";

export const ALIYUN_KEY_ID = "LTAI4GSandboxKey";
export const ALIYUN_KEY_SECRET = "a secret of the Aliyun sandbox";
export const ALIYUN_SIGN_NAME = "Shop";
export const ALIYUN_TEMPLATE = "SMS_123456";

const MAX_AGE_MS = 15 * 60_000;
const CODE: Record<SandboxAnswer["kind"], string> = {
  accept: "OK",
  refuse: "isv.INVALID_PARAMETERS",
  gone: "isv.MOBILE_NUMBER_ILLEGAL",
  busy: "isv.BUSINESS_LIMIT_CONTROL",
  fail: "isp.SYSTEM_ERROR",
  expired: "InvalidAccessKeyId.Inactive",
  stall: "",
  reset: "",
};

/** Alibaba Cloud SMS on loopback. */
export function startAliyunSmsSandbox(): Promise<ProviderSandbox> {
  const nonces = new Set<string>();
  return startHttpSandbox({ judge: (request) => judge(request, nonces), answer });
}

function answer(kind: SandboxAnswer["kind"]): SandboxReply {
  const status = kind === "fail" ? 500 : 200;
  return { status, body: { Code: CODE[kind], Message: kind, RequestId: "r-1", BizId: "b-1" } };
}

function judge(request: SandboxRequest, nonces: Set<string>): SandboxVerdict {
  const params = new URLSearchParams(request.body.toString());
  const of = (name: string): string => params.get(name) ?? "";
  if (of("AccessKeyId") !== ALIYUN_KEY_ID) return refused(404, "InvalidAccessKeyId.NotFound");
  if (sign(request.method, params) !== of("Signature")) return refused(400, "SignatureDoesNotMatch");
  const ageMs = Math.abs(Date.now() - Date.parse(of("Timestamp")));
  if (!(ageMs <= MAX_AGE_MS)) return refused(400, "InvalidTimeStamp.Expired");
  if (nonces.has(of("SignatureNonce"))) return refused(400, "SignatureNonceUsed");
  nonces.add(of("SignatureNonce"));
  const isAction = of("Action") === "SendSms" && of("Version") === "2017-05-25" && of("Format") === "JSON";
  if (!isAction || of("SignName") !== ALIYUN_SIGN_NAME) return refused(200, "isv.SMS_SIGNATURE_ILLEGAL");
  if (of("TemplateCode") !== ALIYUN_TEMPLATE) return refused(200, "isv.SMS_TEMPLATE_ILLEGAL");
  if (readJson(of("TemplateParam")) === undefined) return refused(200, "isv.INVALID_JSON_PARAM");
  const text = [...params].map(([name, value]) => `${name}=${value}`).join("\n");
  return { kind: "push", address: of("PhoneNumbers"), collapseKey: of("OutId").split(".")[0] ?? "", text };
}

/** Written from the documentation's words, not from the provider's code. */
function sign(method: string, params: URLSearchParams): string {
  const encode = (text: string): string =>
    [...Buffer.from(text)]
      .map((byte) => {
        const char = String.fromCharCode(byte);
        return /[A-Za-z0-9\-_.~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
      })
      .join("");
  const pairs = [...params].filter(([name]) => name !== "Signature").sort(([a], [b]) => (a < b ? -1 : 1));
  const query = pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
  return createHmac("sha1", `${ALIYUN_KEY_SECRET}&`)
    .update(`${method}&${encode("/")}&${encode(query)}`)
    .digest("base64");
}

function refused(status: number, code: string): SandboxVerdict {
  return { kind: "refused", why: code, reply: { status, body: { Code: code, Message: "refused", RequestId: "r-1" } } };
}
