// SPDX-License-Identifier: Apache-2.0
import type { ExtlogicPushPolicySpec, ExtlogicPushSpec } from "../../api/v1alpha1.ts";
import { durationMs } from "../units.ts";
import { type EnvVar, type Mount, secretMount } from "./pod-parts.ts";

const DIR = "/etc/imcluster/push";

interface Key {
  name: string;
  key: string;
}

/** The Secret key of each provider that is configured, by the provider's folder. */
function keysOf({ apns, fcm, webPush, wechat, sms }: ExtlogicPushSpec): [folder: string, key: Key][] {
  const all: [string, Key | undefined][] = [
    ["apns", apns?.keySecretRef],
    ["fcm", fcm?.serviceAccountSecretRef],
    ["web-push", webPush?.keySecretRef],
    ["wechat", wechat?.secretRef],
    ["sms", sms?.secretRef],
  ];
  return all.flatMap(([folder, key]) => (key ? [[folder, key] as [string, Key]] : []));
}

/** Keys of the push providers as read-only files, one folder each; none of them is in the environment. */
export function pushMounts(push: ExtlogicPushSpec | undefined): Mount[] {
  if (!push) return [];
  return keysOf(push).map(([folder, { name, key }]) =>
    secretMount(`push-${folder}`, name, `${DIR}/${folder}`, { [key]: "key" }),
  );
}

/** Settings of the push providers and the policy. */
export function pushEnv(push: ExtlogicPushSpec | undefined): EnvVar[] {
  if (!push) return [];
  const { policy } = push;
  const values: Record<string, string | undefined> = {
    ...appEnv(push),
    ...contactEnv(push),
    IM_PUSH_POLICY: policy && JSON.stringify(policyOf(policy)),
  };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

function appEnv({ apns, fcm, webPush }: ExtlogicPushSpec): Record<string, string | undefined> {
  return {
    IM_PUSH_APNS_KEY_FILE: apns && `${DIR}/apns/key`,
    IM_PUSH_APNS_KEY_ID: apns?.keyId,
    IM_PUSH_APNS_TEAM_ID: apns?.teamId,
    IM_PUSH_APNS_TOPIC: apns?.topic,
    IM_PUSH_APNS_URL: apns?.url,
    IM_PUSH_FCM_SERVICE_ACCOUNT_FILE: fcm && `${DIR}/fcm/key`,
    IM_PUSH_FCM_URL: fcm?.url,
    IM_PUSH_WEB_PUSH_KEY_FILE: webPush && `${DIR}/web-push/key`,
    IM_PUSH_WEB_PUSH_SUBJECT: webPush?.subject,
    IM_PUSH_WEB_PUSH_SERVICES: webPush?.services?.join(","),
  };
}

function contactEnv({ wechat, sms }: ExtlogicPushSpec): Record<string, string | undefined> {
  return {
    IM_PUSH_WECHAT_APP_ID: wechat?.appId,
    IM_PUSH_WECHAT_SECRET_FILE: wechat && `${DIR}/wechat/key`,
    IM_PUSH_WECHAT_KIND: wechat?.kind.toLowerCase(),
    IM_PUSH_WECHAT_TEMPLATE_ID: wechat?.templateId,
    IM_PUSH_WECHAT_DATA: wechat && JSON.stringify(wechat.data),
    IM_PUSH_WECHAT_PAGE: wechat?.page,
    IM_PUSH_WECHAT_URL: wechat?.url,
    IM_PUSH_SMS_VENDOR: sms?.vendor.toLowerCase(),
    IM_PUSH_SMS_URL: sms?.url,
    IM_PUSH_SMS_SECRET_FILE: sms && `${DIR}/sms/key`,
    IM_PUSH_SMS_ACCESS_KEY_ID: sms?.accessKeyId,
    IM_PUSH_SMS_SIGN_NAME: sms?.signName,
    IM_PUSH_SMS_TEMPLATE: sms?.template,
    IM_PUSH_SMS_PARAMS: sms?.params && JSON.stringify(sms.params),
  };
}

/** The policy in extlogic's words: lower case, durations in ms. */
function policyOf(policy: ExtlogicPushPolicySpec): object {
  const { steps, timeZone, quietHours, dailyCaps, appMode, backgroundInterval, readBy, ttl } = policy;
  const duration = (text: string | undefined): string | undefined =>
    text === undefined || text === "never" ? text : String(durationMs(text));
  return {
    steps: steps?.map(({ channel, delay, unreachedDelay }) => ({
      channel: channel.toLowerCase(),
      delay: duration(delay),
      unreachedDelay: duration(unreachedDelay),
    })),
    timeZone,
    quietHours: quietHours && {
      start: quietHours.start,
      end: quietHours.end,
      channels: quietHours.channels?.map((channel) => channel.toLowerCase()),
    },
    dailyCaps,
    appMode: appMode?.toLowerCase(),
    backgroundInterval: duration(backgroundInterval),
    readBy: readBy?.toLowerCase(),
    ttl: duration(ttl),
  };
}
