// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { envDurationMs, envList, envString, envUrl } from "#lib/config.ts";
import { isTimeZone, PUSH_CHANNELS, type PushChannelName, type PushPolicy, type PushStep } from "./policy.ts";
import { PUSH_SERVICES } from "./providers/web-push.ts";

const httpUrl = () => envUrl("https:", "http:");

/** A JSON object whose values are strings, of at most 20 fields. */
function envTexts(): z.ZodType<Record<string, string>> {
  return envJson(z.record(z.string().min(1).max(64), z.string().max(256)).refine((o) => Object.keys(o).length <= 20));
}

/** JSON that `schema` takes; its faults are named with their path. */
function envJson<T>(schema: z.ZodType<T>): z.ZodType<T> {
  return z.string().transform((text, context) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "is not JSON" });
      return z.NEVER;
    }
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const path = issue?.path.join(".") ?? "";
    context.addIssue({
      code: "custom",
      message: `${path === "" ? "" : `${path}: `}${issue?.message ?? "is not valid"}`,
    });
    return z.NEVER;
  });
}

const WEEK_MS = 7 * 86_400_000;
const channelName = z.enum(PUSH_CHANNELS);
const delay = envDurationMs(0, WEEK_MS);
const clockTime = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "is not a time of day like 22:00")
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));
const cap = z.int().min(0).max(100_000).optional();

const policySchema = z
  .strictObject({
    steps: z
      .array(
        z.strictObject({
          channel: channelName,
          delay: z.union([z.literal("never"), delay]).optional(),
          unreachedDelay: delay.optional(),
        }),
      )
      .min(1)
      .max(PUSH_CHANNELS.length)
      .optional(),
    timeZone: z.string().refine(isTimeZone, "is not an IANA time zone like Asia/Shanghai").default("UTC"),
    quietHours: z
      .strictObject({
        start: clockTime,
        end: clockTime,
        channels: z.array(channelName).min(1).default(["wechat", "sms"]),
      })
      .refine(({ start, end }) => start !== end, "start and end are the same")
      .optional(),
    dailyCaps: z.strictObject({ app: cap, wechat: cap, sms: cap, webhook: cap }).default({}),
    appMode: z.enum(["alert", "background"]).default("alert"),
    backgroundInterval: envDurationMs(1000, WEEK_MS).default(20 * 60_000),
    readBy: z.enum(["any", "mobile"]).default("any"),
    ttl: envDurationMs(60_000, WEEK_MS).default(86_400_000),
  })
  .refine(({ steps }) => new Set(steps?.map(({ channel }) => channel)).size === (steps?.length ?? 0), {
    error: "steps: a channel comes twice",
  });

/** Environment of the push providers; part of extlogic's. */
export const pushShape = {
  IM_PUSH_WEBHOOK_URL: httpUrl().optional(),
  IM_PUSH_WEBHOOK_SECRET: envString().optional(),
  IM_PUSH_APNS_KEY: envString().optional().describe("the .p8 file's content; better IM_PUSH_APNS_KEY_FILE"),
  IM_PUSH_APNS_KEY_ID: envString(32).optional().describe("the key's id, 10 characters"),
  IM_PUSH_APNS_TEAM_ID: envString(32).optional().describe("the team's id, 10 characters"),
  IM_PUSH_APNS_TOPIC: envString(256).optional().describe("the app's bundle id, such as com.example.shop"),
  IM_PUSH_APNS_URL: httpUrl().default("https://api.push.apple.com"),
  IM_PUSH_FCM_SERVICE_ACCOUNT: envString(16_384)
    .optional()
    .describe("the service account's JSON file; better IM_PUSH_FCM_SERVICE_ACCOUNT_FILE"),
  IM_PUSH_FCM_URL: httpUrl().default("https://fcm.googleapis.com"),
  IM_PUSH_WECHAT_APP_ID: envString(64).optional().describe("the app id, such as wx1234567890abcdef"),
  IM_PUSH_WECHAT_SECRET: envString(256).optional().describe("the app secret; better IM_PUSH_WECHAT_SECRET_FILE"),
  IM_PUSH_WECHAT_KIND: z.enum(["template", "subscribe"]).default("template"),
  IM_PUSH_WECHAT_TEMPLATE_ID: envString(128).optional().describe("the template's id"),
  IM_PUSH_WECHAT_DATA: envTexts()
    .optional()
    .describe('the template\'s fields as JSON, such as {"thing1":"You have a new message","time2":"{time}"}'),
  IM_PUSH_WECHAT_PAGE: z.string().max(512).default(""),
  IM_PUSH_WECHAT_URL: httpUrl().default("https://api.weixin.qq.com"),
  IM_PUSH_SMS_VENDOR: z.enum(["http", "aliyun"]).default("http"),
  IM_PUSH_SMS_URL: httpUrl().optional().describe("the gateway's URL"),
  IM_PUSH_SMS_SECRET: envString(256)
    .optional()
    .describe("the key of the signature, or Aliyun's access key secret; better IM_PUSH_SMS_SECRET_FILE"),
  IM_PUSH_SMS_ACCESS_KEY_ID: envString(128).optional().describe("Aliyun's access key id"),
  IM_PUSH_SMS_SIGN_NAME: envString(64).optional().describe("the signature's name that Aliyun approved"),
  IM_PUSH_SMS_TEMPLATE: envString(64).optional().describe("the template's name, such as SMS_123456"),
  IM_PUSH_SMS_PARAMS: envTexts().default({}),
  IM_PUSH_WEB_PUSH_KEY: envString()
    .optional()
    .describe("a P-256 private key in PEM (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)"),
  IM_PUSH_WEB_PUSH_SUBJECT: z
    .string()
    .regex(/^(mailto:|https:\/\/)./, "is neither mailto: nor https:")
    .optional()
    .describe("your contact, such as mailto:push@example.com"),
  IM_PUSH_WEB_PUSH_SERVICES: envList().default([...PUSH_SERVICES]),
  IM_PUSH_POLICY: envJson(policySchema)
    .default(policySchema.parse({}))
    .describe('JSON such as {"steps":[{"channel":"app"},{"channel":"sms","delay":"5m"}],"dailyCaps":{"sms":3}}'),
};
export type PushConfig = z.infer<z.ZodObject<typeof pushShape>>;

type Variable = keyof PushConfig;

/** What each provider needs once its first variable is set. */
function requiredBy(config: PushConfig): Variable[][] {
  const sms: Variable[] =
    config.IM_PUSH_SMS_VENDOR === "aliyun"
      ? ["IM_PUSH_SMS_ACCESS_KEY_ID", "IM_PUSH_SMS_SECRET", "IM_PUSH_SMS_SIGN_NAME", "IM_PUSH_SMS_TEMPLATE"]
      : ["IM_PUSH_SMS_URL", "IM_PUSH_SMS_SECRET", "IM_PUSH_SMS_TEMPLATE"];
  return [
    ["IM_PUSH_APNS_KEY", "IM_PUSH_APNS_KEY_ID", "IM_PUSH_APNS_TEAM_ID", "IM_PUSH_APNS_TOPIC"],
    ["IM_PUSH_WECHAT_APP_ID", "IM_PUSH_WECHAT_SECRET", "IM_PUSH_WECHAT_TEMPLATE_ID", "IM_PUSH_WECHAT_DATA"],
    sms,
    ["IM_PUSH_WEB_PUSH_KEY", "IM_PUSH_WEB_PUSH_SUBJECT"],
  ];
}

/** Channels of the policy that have a provider. */
export function configuredChannels(config: PushConfig): Set<PushChannelName> {
  const channels = new Set<PushChannelName>();
  const hasApp = config.IM_PUSH_APNS_KEY ?? config.IM_PUSH_FCM_SERVICE_ACCOUNT ?? config.IM_PUSH_WEB_PUSH_KEY;
  if (hasApp !== undefined) channels.add("app");
  if (config.IM_PUSH_WECHAT_APP_ID !== undefined) channels.add("wechat");
  if (config.IM_PUSH_SMS_TEMPLATE !== undefined) channels.add("sms");
  if (config.IM_PUSH_WEBHOOK_URL !== undefined) channels.add("webhook");
  return channels;
}

/** Half-configured providers, and channels of the policy without one. */
export function checkPushConfig(config: PushConfig, context: z.RefinementCtx): void {
  for (const variables of requiredBy(config)) {
    const missing = variables.filter((name) => config[name] === undefined);
    if (missing.length === variables.length) continue;
    for (const name of missing) context.addIssue({ code: "custom", path: [name], message: "is required" });
  }
  const channels = configuredChannels(config);
  for (const { channel } of config.IM_PUSH_POLICY.steps ?? []) {
    if (channels.has(channel)) continue;
    const message = `steps: ${channel} has no provider; configure one or take the step out`;
    context.addIssue({ code: "custom", path: ["IM_PUSH_POLICY"], message });
  }
}

/** Waits while unread: after a step that reached the user, and when nothing did. */
const DEFAULT_DELAYS: Record<PushChannelName, Omit<PushStep, "channel">> = {
  app: { delayMs: 0, unreachedDelayMs: 0 },
  wechat: { delayMs: 60_000, unreachedDelayMs: 0 },
  sms: { delayMs: 300_000, unreachedDelayMs: 60_000 },
  // The business hears of those whom nothing else reaches.
  webhook: { delayMs: undefined, unreachedDelayMs: 0 },
};
const DEFAULT_CAPS = { app: 1000, wechat: 50, sms: 5 };

interface GivenStep {
  channel: PushChannelName;
  delay?: "never" | number | undefined;
  unreachedDelay?: number | undefined;
}

/** The policy, completed: without steps of its own, every channel that has a provider, in the usual order. */
export function policyOf(config: PushConfig): PushPolicy {
  const given = config.IM_PUSH_POLICY;
  const channels = configuredChannels(config);
  if (channels.size === 0) channels.add("webhook");
  const wanted: readonly GivenStep[] =
    given.steps ?? PUSH_CHANNELS.filter((name) => channels.has(name)).map((channel) => ({ channel }));
  const steps = wanted.map(({ channel, delay: own, unreachedDelay }): PushStep => {
    const { delayMs, unreachedDelayMs } = DEFAULT_DELAYS[channel];
    return {
      channel,
      delayMs: own === undefined ? delayMs : own === "never" ? undefined : own,
      unreachedDelayMs: unreachedDelay ?? unreachedDelayMs,
    };
  });
  const quiet = given.quietHours;
  return {
    steps,
    quietHours: quiet && { startMinute: quiet.start, endMinute: quiet.end, channels: quiet.channels },
    timeZone: given.timeZone,
    dailyCaps: { ...DEFAULT_CAPS, ...given.dailyCaps },
    appMode: given.appMode,
    backgroundIntervalMs: given.backgroundInterval,
    readBy: given.readBy,
    ttlMs: given.ttl,
  };
}
