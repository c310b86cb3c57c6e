// SPDX-License-Identifier: Apache-2.0
// The push sandbox as a program, for a pod: one line of JSON per push on stdout. On a port of its own it is the shop, too,
// which is told of pressed buttons: IM_SANDBOX_SHOP_PORT, IM_SANDBOX_SHOP_SECRET; without a port there is none.
// IM_SANDBOX_PORT, IM_SANDBOX_SECRET: see WebhookSandboxOptions.
import { startShopSandbox } from "./shop.ts";
import { startWebhookSandbox } from "./webhook.ts";

const sandbox = await startWebhookSandbox({
  host: "",
  port: Number(process.env.IM_SANDBOX_PORT ?? 8080),
  secret: process.env.IM_SANDBOX_SECRET ?? "",
  answer: (push) => {
    console.log(JSON.stringify({ ...push, receivedAtMs: Date.now() }));
    return { status: 204 };
  },
});
console.log(JSON.stringify({ listening: sandbox.url }));
const shopPort = Number(process.env.IM_SANDBOX_SHOP_PORT ?? -1);
if (shopPort >= 0) {
  const shop = await startShopSandbox({ host: "", port: shopPort, secret: process.env.IM_SANDBOX_SHOP_SECRET ?? "" });
  console.log(JSON.stringify({ shop: shop.url }));
}
const stop = (): void => void sandbox.close().then(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
