// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import {
  type ProviderSandbox,
  readJson,
  type SandboxAnswer,
  type SandboxReply,
  type SandboxRequest,
  type SandboxVerdict,
  startHttpSandbox,
} from "./sandbox.ts";

export const WECHAT_APP_ID = "wx1234567890abcdef";
export const WECHAT_SECRET = "a secret of the WeChat sandbox";
export const WECHAT_TEMPLATE = "template-1";

const PATHS = ["/cgi-bin/message/template/send", "/cgi-bin/message/subscribe/send"];
const ERRCODE: Record<SandboxAnswer["kind"], number> = {
  accept: 0,
  refuse: 43101,
  gone: 40003,
  busy: 45009,
  fail: -1,
  expired: 42001,
  stall: 0,
  reset: 0,
};

/** WeChat's API on loopback. */
export interface WechatSandbox extends ProviderSandbox {
  /** Access tokens made, by force among them. */
  readonly issued: number;
  readonly forced: number;
  /** The present token ends early; `isKept`: it is still given out unless the caller insists. */
  revoke(isKept?: boolean): void;
}

export async function startWechatSandbox(): Promise<WechatSandbox> {
  const protocol = new Protocol();
  return Object.defineProperties(await startHttpSandbox(protocol), {
    issued: { get: () => protocol.issued },
    forced: { get: () => protocol.forced },
    revoke: { value: (isKept = false) => protocol.revoke(isKept) },
  }) as Awaited<ReturnType<typeof startHttpSandbox>> & WechatSandbox;
}

class Protocol {
  issued = 0;
  forced = 0;
  #given = "";
  #valid = "";

  revoke(isKept: boolean): void {
    this.#valid = "";
    if (!isKept) this.#given = "";
  }

  judge(request: SandboxRequest): SandboxVerdict {
    const body = readJson(request.body);
    if (request.url.pathname === "/cgi-bin/stable_token") return this.#issue(body ?? {});
    if (request.method !== "POST" || !PATHS.includes(request.url.pathname)) {
      return { kind: "refused", why: "path", reply: { status: 404 } };
    }
    const token = request.url.searchParams.get("access_token") ?? "";
    if (token === "" || token !== this.#valid) return refused(40001);
    const { touser, template_id: template, data } = body ?? {};
    if (typeof touser !== "string") return refused(40003);
    if (template !== WECHAT_TEMPLATE) return refused(40037);
    const fields = Object.values((data ?? {}) as Record<string, { value?: unknown }>);
    if (fields.length === 0 || fields.some(({ value }) => typeof value !== "string")) return refused(47003);
    return {
      kind: "push",
      address: touser,
      collapseKey: String(body?.client_msg_id ?? ""),
      text: request.body.toString(),
    };
  }

  answer(kind: SandboxAnswer["kind"]): SandboxReply {
    if (kind === "expired") this.revoke(false);
    return { status: 200, body: { errcode: ERRCODE[kind], errmsg: kind, msgid: 1 } };
  }

  #issue(body: Record<string, unknown>): SandboxVerdict {
    if (body.appid !== WECHAT_APP_ID || body.grant_type !== "client_credential") return refused(40013);
    if (body.secret !== WECHAT_SECRET) return refused(40125);
    const isForced = body.force_refresh === true;
    if (isForced) this.forced++;
    if (this.#given === "" || isForced) {
      this.#given = randomUUID();
      this.#valid = this.#given;
      this.issued++;
    }
    return { kind: "reply", reply: { status: 200, body: { access_token: this.#given, expires_in: 7200 } } };
  }
}

function refused(errcode: number): SandboxVerdict {
  return { kind: "refused", why: String(errcode), reply: { status: 200, body: { errcode, errmsg: "refused" } } };
}
