// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { Tracer } from "#lib/tracing/tracer.ts";
import type { Store } from "../store/store.ts";
import type { StoreClock } from "../store/store-clock.ts";
import type { Defer } from "../tick-batch.ts";
import type { ChannelSet } from "./addresses.ts";
import { ProviderChannel, type ProviderChannelOptions } from "./channel.ts";
import { type Dispatch, dispatchIntents } from "./dispatch.ts";
import type { PushMetrics } from "./metrics.ts";
import type { PushPolicy } from "./policy.ts";
import { logProvider, type PushProvider } from "./provider.ts";
import { AliyunSmsProvider } from "./providers/aliyun-sms.ts";
import { ApnsProvider } from "./providers/apns.ts";
import { FcmProvider } from "./providers/fcm.ts";
import { SmsProvider } from "./providers/sms.ts";
import { WebPushProvider } from "./providers/web-push.ts";
import { WebhookProvider } from "./providers/webhook.ts";
import { WechatProvider } from "./providers/wechat.ts";
import { type PushConfig, policyOf } from "./push-config.ts";
import { Recipients } from "./recipients.ts";
import { StepRunner } from "./step-runner.ts";
import { type PushLetter, StepSchedule } from "./step-schedule.ts";

/** What {@link composePush} needs. */
export interface PushPorts {
  store: Pick<Store, "pushTargets" | "pushStore">;
  bury: (letters: readonly PushLetter[]) => Promise<void>;
  clock: StoreClock;
  random: () => number;
  defer: Defer;
  log: Logger;
  metrics: PushMetrics;
  onFault: (op: string, error: unknown) => void;
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
  /** Is told what providers answer. */
  onResult?: ProviderChannelOptions["onResult"];
}

/** Everything between an intent and a provider. */
export interface PushCore {
  readonly schedule: StepSchedule;
  readonly dispatch: Dispatch;
  readonly channels: ChannelSet;
  readonly policy: PushPolicy;
  /** Ends what is in hand, then the connections. */
  stop(): Promise<void>;
}

/** Wires providers, policy and schedule. @throws {ImError} BAD_REQUEST when a key is unusable */
export function composePush(config: PushConfig, ports: PushPorts): PushCore {
  const { store, clock, random, defer, log, metrics, onFault, onResult, tracer } = ports;
  const providers = createProviders(config, clock);
  if (providers.length === 0) providers.push(logProvider(log));
  const channels = new Map(
    providers.map((provider) => [
      provider.name,
      new ProviderChannel({ provider, clock, random, metrics, tracer, ...(onResult ? { onResult } : {}) }),
    ]),
  );
  const policy = policyOf(config);
  const recipients = new Recipients(store, policy, defer);
  const runner = new StepRunner({
    store: store.pushStore,
    recipients,
    channels,
    policy,
    clock,
    random,
    defer,
    metrics,
    onFault,
  });
  const schedule = new StepSchedule({
    store: store.pushStore,
    runner,
    recipients,
    policy,
    bury: ports.bury,
    clock,
    random,
    defer,
    metrics,
    log,
    onFault,
  });
  const stop = async (): Promise<void> => {
    await schedule.stop();
    for (const channel of channels.values()) channel.close();
  };
  const dispatch: Dispatch = (intents, signal) => dispatchIntents({ schedule, signal }, intents);
  return { schedule, dispatch, channels, policy, stop };
}

/** The providers that are configured. @throws {ImError} BAD_REQUEST when a key is unusable */
export function createProviders(config: PushConfig, clock: Clock): PushProvider[] {
  const made = [
    apns(config, clock),
    fcm(config, clock),
    webPush(config, clock),
    wechat(config, clock),
    sms(config, clock),
    webhook(config, clock),
  ];
  return made.filter((provider) => provider !== undefined);
}

function apns(config: PushConfig, clock: Clock): PushProvider | undefined {
  const { IM_PUSH_APNS_KEY: privateKey, IM_PUSH_APNS_KEY_ID: keyId, IM_PUSH_APNS_TEAM_ID: teamId } = config;
  const topic = config.IM_PUSH_APNS_TOPIC;
  if (!privateKey || !keyId || !teamId || !topic) return undefined;
  return new ApnsProvider({ url: config.IM_PUSH_APNS_URL, privateKey, keyId, teamId, topic, clock });
}

function fcm(config: PushConfig, clock: Clock): PushProvider | undefined {
  const serviceAccount = config.IM_PUSH_FCM_SERVICE_ACCOUNT;
  if (!serviceAccount) return undefined;
  return new FcmProvider({ url: withoutSlash(config.IM_PUSH_FCM_URL), serviceAccount, clock });
}

function webPush(config: PushConfig, clock: Clock): PushProvider | undefined {
  const { IM_PUSH_WEB_PUSH_KEY: privateKey, IM_PUSH_WEB_PUSH_SUBJECT: subject } = config;
  if (!privateKey || !subject) return undefined;
  return new WebPushProvider({ privateKey, subject, services: config.IM_PUSH_WEB_PUSH_SERVICES, clock });
}

function wechat(config: PushConfig, clock: Clock): PushProvider | undefined {
  const { IM_PUSH_WECHAT_APP_ID: appId, IM_PUSH_WECHAT_SECRET: secret, IM_PUSH_WECHAT_DATA: data } = config;
  const templateId = config.IM_PUSH_WECHAT_TEMPLATE_ID;
  if (!appId || !secret || !templateId || !data) return undefined;
  const { IM_PUSH_WECHAT_KIND: kind, IM_PUSH_WECHAT_PAGE: page } = config;
  return new WechatProvider({
    url: withoutSlash(config.IM_PUSH_WECHAT_URL),
    appId,
    secret,
    kind,
    templateId,
    data,
    page,
    clock,
  });
}

function sms(config: PushConfig, clock: Clock): PushProvider | undefined {
  const { IM_PUSH_SMS_URL: url, IM_PUSH_SMS_SECRET: secret, IM_PUSH_SMS_TEMPLATE: template } = config;
  const params = config.IM_PUSH_SMS_PARAMS;
  if (!secret || !template) return undefined;
  if (config.IM_PUSH_SMS_VENDOR === "http")
    return url ? new SmsProvider({ url, secret, template, params, clock }) : undefined;
  const { IM_PUSH_SMS_ACCESS_KEY_ID: accessKeyId, IM_PUSH_SMS_SIGN_NAME: signName } = config;
  if (!accessKeyId || !signName) return undefined;
  return new AliyunSmsProvider({
    url: withoutSlash(url ?? "https://dysmsapi.aliyuncs.com"),
    accessKeyId,
    accessKeySecret: secret,
    signName,
    templateCode: template,
    params,
    clock,
  });
}

function webhook(config: PushConfig, clock: Clock): PushProvider | undefined {
  const url = config.IM_PUSH_WEBHOOK_URL;
  return url ? new WebhookProvider({ url, secret: config.IM_PUSH_WEBHOOK_SECRET ?? "", clock }) : undefined;
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
