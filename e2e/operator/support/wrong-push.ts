// SPDX-License-Identifier: Apache-2.0
import { ref } from "./sample-ref.ts";
import type { Wrong } from "./wrong-specs.ts";

const fcm = { serviceAccountSecretRef: ref };
/** Every provider of pushes. */
export const fullPush = {
  apns: {
    ...{ keySecretRef: ref, keyId: "ABC123DEFG", teamId: "DEF123GHIJ", topic: "com.example.shop" },
    url: "http://apns.shop.svc:8080",
  },
  fcm: { ...fcm, url: "https://fcm.example.com" },
  webPush: { keySecretRef: ref, subject: "https://example.com", services: ["https://*.push.apple.com"] },
  wechat: {
    ...{ appId: "wx1", secretRef: ref, kind: "Subscribe", templateId: "t", data: { thing1: "hello" } },
    ...{ page: "pages/chat", url: "http://wechat.shop.svc" },
  },
  sms: {
    ...{ vendor: "Aliyun", secretRef: ref, url: "https://dysmsapi.aliyuncs.com", accessKeyId: "a", signName: "s" },
    ...{ template: "SMS_1", params: { a: "b" } },
  },
  policy: {
    steps: [
      { channel: "Webhook" },
      { channel: "Sms", delay: "1m30s", unreachedDelay: "0s" },
      { channel: "App", delay: "never" },
    ],
    timeZone: "America/Argentina/Buenos_Aires",
    quietHours: { start: "22:00", end: "08:00", channels: ["Sms", "WeChat"] },
    dailyCaps: { app: 1, wechat: 2, sms: 0, webhook: 4 },
    ...{ appMode: "Background", backgroundInterval: "20m", readBy: "Mobile", ttl: "168h" },
  },
};

/** Pushes and webhooks. */
export const WRONG_PUSH: readonly Wrong[] = [
  {
    what: "negative extlogic",
    spec: { extlogic: { replicas: -1 } },
    field: "spec.extlogic.replicas",
    remedy: /between 0 and 100/,
  },
  {
    what: "plain webhook to the internet",
    spec: { extlogic: { webhook: { url: "http://hooks.example.com/push" } } },
    field: "spec.extlogic.webhook.url",
    remedy: /must start with https/,
  },
  {
    what: "webhook with credentials",
    spec: { extlogic: { webhook: { url: "https://user:pw@hooks.example.com/" } } },
    field: "spec.extlogic.webhook.url",
    remedy: /credentials belong in secretRef/,
  },
  {
    what: "webhook without url",
    spec: { extlogic: { webhook: {} } },
    field: "spec.extlogic.webhook.url",
    remedy: /Required/,
  },
  {
    what: "push step without a provider",
    spec: { extlogic: { push: { policy: { steps: [{ channel: "Sms" }] } } } },
    field: "spec.extlogic.push",
    remedy: /configure apns, fcm or webPush \(App\)/,
  },
  {
    what: "webhook step without a webhook",
    spec: { extlogic: { push: { policy: { steps: [{ channel: "Webhook" }] } } } },
    field: "spec.extlogic",
    remedy: /set spec.extlogic.webhook/,
  },
  {
    what: "push step twice",
    spec: { extlogic: { push: { fcm, policy: { steps: [{ channel: "App" }, { channel: "App" }] } } } },
    field: "spec.extlogic.push.policy.steps",
    remedy: /Duplicate/,
  },
  {
    what: "push delay that is none",
    spec: { extlogic: { push: { fcm, policy: { steps: [{ channel: "App", delay: "soon" }] } } } },
    field: "spec.extlogic.push.policy.steps",
    remedy: /such as 5m, or never/,
  },
  {
    what: "quiet hours without length",
    spec: { extlogic: { push: { policy: { quietHours: { start: "08:00", end: "08:00" } } } } },
    field: "spec.extlogic.push.policy.quietHours",
    remedy: /must differ/,
  },
  {
    what: "quiet hours of another clock",
    spec: { extlogic: { push: { policy: { quietHours: { start: "10pm", end: "08:00" } } } } },
    field: "spec.extlogic.push.policy.quietHours.start",
    remedy: /such as 22:00/,
  },
  {
    what: "APNs key id",
    spec: { extlogic: { push: { apns: { keySecretRef: ref, keyId: "abc", teamId: "DEF123GHIJ", topic: "com.x" } } } },
    field: "spec.extlogic.push.apns.keyId",
    remedy: /10 characters/,
  },
  {
    what: "SMS gateway without url",
    spec: { extlogic: { push: { sms: { secretRef: ref, template: "t" } } } },
    field: "spec.extlogic.push.sms",
    remedy: /url is required/,
  },
  {
    what: "Aliyun without its names",
    spec: { extlogic: { push: { sms: { vendor: "Aliyun", secretRef: ref, template: "t" } } } },
    field: "spec.extlogic.push.sms",
    remedy: /needs accessKeyId and signName/,
  },
  {
    what: "push provider in plain text on the internet",
    spec: { extlogic: { push: { fcm: { ...fcm, url: "http://fcm.example.com" } } } },
    field: "spec.extlogic.push.fcm.url",
    remedy: /must start with https/,
  },
  {
    what: "VAPID without a contact",
    spec: { extlogic: { push: { webPush: { keySecretRef: ref, subject: "me" } } } },
    field: "spec.extlogic.push.webPush.subject",
    remedy: /mailto: or https:/,
  },
];
