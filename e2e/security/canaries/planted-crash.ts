// SPDX-License-Identifier: Apache-2.0
// Preloaded into the processes of the fleet: SIGUSR2 is a fault that nobody catches, with secrets in its fields.
import { readFileSync } from "node:fs";

process.once("SIGUSR2", () => {
  const { field, cause, isRejected } = JSON.parse(readFileSync(process.env.PLANTED_CRASH_FILE ?? "", "utf8"));
  const inner = Object.assign(new Error("the cause"), { input: cause, command: { name: "auth", args: [cause] } });
  const error = Object.assign(new Error("a planted fault", { cause: inner }), {
    ...{ body: field, detail: `Failing row contains (${field})`, config: { headers: { authorization: field } } },
    errors: [Object.assign(new Error("one of several"), { input: field })],
  });
  if (isRejected) void Promise.reject(error);
  else throw error;
});
