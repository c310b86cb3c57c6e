// SPDX-License-Identifier: Apache-2.0
import { describe } from "node:test";
import {
  aliyunBench,
  apnsBench,
  fcmBench,
  smsBench,
  webhookBench,
  webPushBench,
  wechatBench,
} from "../../../e2e/sandbox/provider-benches.ts";
import { providerContract } from "../../../e2e/sandbox/provider-contract.ts";

describe("APNs keeps the provider contract", () => providerContract(apnsBench));
describe("FCM keeps the provider contract", () => providerContract(fcmBench));
describe("WeChat template messages keep the provider contract", () => providerContract(wechatBench));
describe("WeChat subscription messages keep the provider contract", () =>
  providerContract((timeoutMs) => wechatBench(timeoutMs, "subscribe")));
describe("the generic SMS gateway keeps the provider contract", () => providerContract(smsBench));
describe("Aliyun SMS keeps the provider contract", () => providerContract(aliyunBench));
describe("Web Push keeps the provider contract", () => providerContract(webPushBench));
describe("the webhook keeps the provider contract", () => providerContract(webhookBench));
