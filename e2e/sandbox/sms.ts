// SPDX-License-Identifier: Apache-2.0

import {
  type ProviderSandbox,
  readJson,
  type SandboxAnswer,
  type SandboxRequest,
  type SandboxVerdict,
  startHttpSandbox,
} from "./sandbox.ts";
import { isSigned } from "./signature.ts";

export const SMS_SECRET = "a secret of the SMS sandbox";
export const SMS_TEMPLATE = "new-message";

const STATUS: Record<SandboxAnswer["kind"], number> = {
  accept: 202,
  refuse: 422,
  gone: 410,
  busy: 429,
  fail: 503,
  expired: 500,
  stall: 0,
  reset: 0,
};

/** An SMS gateway on loopback that speaks the generic HTTP contract. */
export function startSmsSandbox(): Promise<ProviderSandbox> {
  return startHttpSandbox({ judge, answer: (kind) => ({ status: STATUS[kind] }) });
}

function judge(request: SandboxRequest): SandboxVerdict {
  if (!isSigned(SMS_SECRET, String(request.headers["x-im-signature"] ?? ""), request.body.toString())) {
    return { kind: "refused", why: "signature", reply: { status: 401 } };
  }
  const { id, to, template, params } = readJson(request.body) ?? {};
  const isWellFormed =
    typeof id === "string" &&
    /^\+\d{6,15}$/.test(String(to)) &&
    template === SMS_TEMPLATE &&
    typeof params === "object";
  if (request.method !== "POST" || !isWellFormed) return { kind: "refused", why: "form", reply: { status: 400 } };
  return { kind: "push", address: String(to), collapseKey: id.split(".")[0] ?? "", text: request.body.toString() };
}
