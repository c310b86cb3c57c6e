// SPDX-License-Identifier: Apache-2.0
// The push sandbox as a program, for a pod: one line of JSON per push on stdout.
// IM_SANDBOX_PORT, IM_SANDBOX_SECRET: see WebhookSandboxOptions.
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
const stop = (): void => void sandbox.close().then(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
