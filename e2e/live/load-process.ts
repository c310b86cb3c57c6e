// SPDX-License-Identifier: Apache-2.0
// A process that holds a part of the clients; works for `Load`, which started it, and ends with it.
import { createProgress } from "../../scripts/cluster/progress.ts";
import { demoAccess } from "../../scripts/up/demo.ts";
import { openKubeTools } from "../../scripts/up/kube-tools.ts";
import { LoadCrowd, type LoadFault, type LoadWindow } from "./load-crowd.ts";

/** How many clients the process holds, and how much they send. */
export interface LoadOrder {
  seed: string;
  pairs: number;
  ratePerSecond: number;
  /** Where clients connect. Default: the demo. */
  address?: string;
}

/** One call of the starter. */
export type LoadCall =
  | { do: "arrive"; order: LoadOrder }
  | { do: "start" }
  | { do: "note"; fault: LoadFault }
  | { do: "settle"; timeoutMs: number }
  | { do: "close" };

/** Answers come in the order of the calls' ends, named by their id. */
export type LoadReply = { id: number; window?: LoadWindow; fault?: string };

let crowd: LoadCrowd | undefined;

async function arrive({ address, ...order }: LoadOrder): Promise<void> {
  const access = await demoAccess(await openKubeTools({ progress: createProgress() }));
  const host = address ?? access.address;
  const trust = { ca: access.caPem, servername: access.serverName };
  const targets = [
    { url: `tls://${host}:443`, ...trust },
    { url: `wss://${host}:443/ws`, ...trust },
  ];
  crowd = new LoadCrowd({ ...order, targets, getToken: access.mintToken });
  await crowd.arrive();
}

async function answer(call: LoadCall): Promise<LoadWindow | undefined> {
  if (call.do === "arrive") await arrive(call.order);
  else if (call.do === "start") crowd?.start();
  else if (call.do === "note") crowd?.note(call.fault);
  else if (call.do === "settle") return await crowd?.settle(call.timeoutMs);
  else await crowd?.close();
  return undefined;
}

process.on("message", ({ id, ...call }: LoadCall & { id: number }) => {
  // The starter may be gone before the answer is there; "disconnect" follows then.
  const reply = (rest: Omit<LoadReply, "id">): void =>
    void process.send?.({ id, ...rest } satisfies LoadReply, () => undefined);
  answer(call).then(
    (window) => reply(window ? { window } : {}),
    (error: unknown) => reply({ fault: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.once("disconnect", () => process.exit());
