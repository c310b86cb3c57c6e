// SPDX-License-Identifier: Apache-2.0
// For tests: every provider with the sandbox that it calls.
import { systemClock } from "#lib/clock.ts";
import { AliyunSmsProvider } from "../../logic/push/providers/aliyun-sms.ts";
import { ApnsProvider } from "../../logic/push/providers/apns.ts";
import { FcmProvider } from "../../logic/push/providers/fcm.ts";
import { SmsProvider } from "../../logic/push/providers/sms.ts";
import { WebPushProvider } from "../../logic/push/providers/web-push.ts";
import { WebhookProvider } from "../../logic/push/providers/webhook.ts";
import { WechatProvider } from "../../logic/push/providers/wechat.ts";
import {
  ALIYUN_KEY_ID,
  ALIYUN_KEY_SECRET,
  ALIYUN_SIGN_NAME,
  ALIYUN_TEMPLATE,
  startAliyunSmsSandbox,
} from "./aliyun-sms.ts";
import { APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC, type ApnsSandbox, startApnsSandbox } from "./apns.ts";
import { type FcmSandbox, startFcmSandbox } from "./fcm.ts";
import { BENCH_TIMEOUT_MS, type ProviderBench } from "./provider-contract.ts";
import { PushRecord, type SandboxAnswer } from "./sandbox.ts";
import { SMS_SECRET, SMS_TEMPLATE, startSmsSandbox } from "./sms.ts";
import { startWebPushSandbox, type WebPushSandbox } from "./web-push.ts";
import { startWebhookSandbox, type WebhookAnswer } from "./webhook.ts";
import { startWechatSandbox, WECHAT_APP_ID, WECHAT_SECRET, WECHAT_TEMPLATE, type WechatSandbox } from "./wechat.ts";

const clock = systemClock;
const full = { knowsGone: true, hasRetryAfter: true, hasCollapseKey: true, tellsApp: true };
const APNS_TOKEN = "a1b2c3d4".repeat(8);
const PHONE = "+8613800000000";

export async function apnsBench(
  timeoutMs = BENCH_TIMEOUT_MS,
): Promise<ProviderBench & { sandbox: ApnsSandbox; provider: ApnsProvider }> {
  const sandbox = await startApnsSandbox();
  const { url, privateKey } = sandbox;
  const provider = new ApnsProvider({
    clock,
    timeoutMs,
    url,
    privateKey,
    keyId: APNS_KEY_ID,
    teamId: APNS_TEAM_ID,
    topic: APNS_TOPIC,
  });
  return { ...full, provider, sandbox, address: APNS_TOKEN, recorded: APNS_TOKEN };
}

export async function fcmBench(timeoutMs = BENCH_TIMEOUT_MS): Promise<ProviderBench & { sandbox: FcmSandbox }> {
  const sandbox = await startFcmSandbox();
  const provider = new FcmProvider({ clock, timeoutMs, url: sandbox.url, serviceAccount: sandbox.serviceAccount });
  return { ...full, provider, sandbox, address: "fcm:token-1", recorded: "fcm:token-1" };
}

export async function wechatBench(
  timeoutMs = BENCH_TIMEOUT_MS,
  kind: "template" | "subscribe" = "template",
): Promise<ProviderBench & { sandbox: WechatSandbox }> {
  const sandbox = await startWechatSandbox();
  const provider = new WechatProvider({
    clock,
    timeoutMs,
    url: sandbox.url,
    appId: WECHAT_APP_ID,
    secret: WECHAT_SECRET,
    kind,
    templateId: WECHAT_TEMPLATE,
    data: { thing1: "You have a new message", time2: "{time}" },
    page: "",
  });
  const hasCollapseKey = kind === "template";
  return { ...full, tellsApp: false, hasCollapseKey, provider, sandbox, address: "openid-1", recorded: "openid-1" };
}

export async function smsBench(timeoutMs = BENCH_TIMEOUT_MS): Promise<ProviderBench> {
  const sandbox = await startSmsSandbox();
  const provider = new SmsProvider({
    clock,
    timeoutMs,
    url: sandbox.url,
    secret: SMS_SECRET,
    template: SMS_TEMPLATE,
    params: { time: "{time}" },
  });
  return { ...full, tellsApp: false, provider, sandbox, address: PHONE, recorded: PHONE };
}

export async function aliyunBench(timeoutMs = BENCH_TIMEOUT_MS): Promise<ProviderBench> {
  const sandbox = await startAliyunSmsSandbox();
  const provider = new AliyunSmsProvider({
    clock,
    timeoutMs,
    url: sandbox.url,
    accessKeyId: ALIYUN_KEY_ID,
    accessKeySecret: ALIYUN_KEY_SECRET,
    signName: ALIYUN_SIGN_NAME,
    templateCode: ALIYUN_TEMPLATE,
    params: { time: "{time} (a*b'c!)" },
  });
  return { ...full, tellsApp: false, provider, sandbox, address: PHONE, recorded: PHONE };
}

export async function webPushBench(timeoutMs = BENCH_TIMEOUT_MS): Promise<ProviderBench & { sandbox: WebPushSandbox }> {
  const sandbox = await startWebPushSandbox();
  const provider = new WebPushProvider({
    clock,
    timeoutMs,
    privateKey: sandbox.privateKey,
    subject: "mailto:push@example.com",
    services: [sandbox.url],
  });
  const address = sandbox.subscribe();
  const { endpoint } = JSON.parse(address) as { endpoint: string };
  return { ...full, provider, sandbox, address, recorded: endpoint };
}

const WEBHOOK_STATUS: Record<SandboxAnswer["kind"], number> = {
  accept: 204,
  refuse: 400,
  gone: 410,
  busy: 429,
  fail: 503,
  expired: 500,
  stall: 0,
  reset: 0,
};

/** The webhook's sandbox is older than the others: its answers and its record are put into their words here. */
export async function webhookBench(timeoutMs = BENCH_TIMEOUT_MS): Promise<ProviderBench> {
  const record = new PushRecord();
  const answer = (push: { userId: string }): WebhookAnswer => {
    const decided = record.decide({ address: push.userId, collapseKey: "", text: JSON.stringify(push) });
    if (decided.kind === "stall") return "hang";
    if (decided.kind === "reset") return "reset";
    const seconds = "retryAfterS" in decided ? decided.retryAfterS : undefined;
    return {
      status: WEBHOOK_STATUS[decided.kind],
      ...(seconds === undefined ? {} : { headers: { "retry-after": String(seconds) } }),
    };
  };
  const server = await startWebhookSandbox({ secret: "s3cret", answer });
  const provider = new WebhookProvider({ clock, timeoutMs, url: server.url, secret: "s3cret" });
  const sandbox = Object.assign(record, { close: () => server.close() });
  return {
    provider,
    sandbox,
    address: "",
    recorded: "bob",
    knowsGone: false,
    hasRetryAfter: true,
    hasCollapseKey: false,
    tellsApp: true,
  };
}
