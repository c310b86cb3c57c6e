// SPDX-License-Identifier: Apache-2.0
// `make elevator`: the SDK on networks that go away for 5 to 90 s while both sides write. Packets vanish, nobody is told.
// Last line: figures as JSON. Exit 1 when a message was lost, came twice or out of order. Needs root, for the namespaces.
import { parseArgs } from "node:util";
import { unusable } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { SERVER_NAME, startFleet } from "../harness/fleet.ts";
import { endWhenInterrupted } from "../harness/interrupt.ts";
import { isInPrivateNetwork, PrivateNetwork, runInPrivateNetwork } from "../harness/private-network.ts";
import { ride } from "./ride.ts";

const CUTS_S = [5, 12, 30, 60, 90, 8];
const SEND_EVERY_MS = 100;
const SETTLE_TIMEOUT_MS = 60_000;
const HOSTS = ["postgres", "redis", "logic-0", "entry-0", "entry-1"];

const progress = createProgress();

async function run(cutsS: readonly number[]): Promise<boolean> {
  const network = new PrivateNetwork();
  await network.open();
  for (const name of HOSTS) await network.addHost(name);
  const fleet = await startFleet({ entries: 2, logics: 1, placeOf: (name) => network.find(name) });
  try {
    const [first, second] = [fleet.entry(0), fleet.entry(1)];
    const trust = { ca: fleet.ca, servername: SERVER_NAME };
    const figures = await ride({
      targets: [
        { url: `tls://${first.host}:${first.tlsPort}`, ...trust },
        { url: `wss://${second.host}:${second.tlsPort}/ws`, ...trust },
      ],
      getToken: (uid) => fleet.tokens.mint(uid),
      cutsS,
      cut: (side) => {
        const entry = network.find(`entry-${side}`);
        return network.drop([
          { host: entry, from: network.hub.host },
          { host: network.hub, from: entry.host },
        ]);
      },
      sendEveryMs: SEND_EVERY_MS,
      settleTimeoutMs: SETTLE_TIMEOUT_MS,
      progress: (text) => progress.line(text),
    });
    console.log(JSON.stringify(figures));
    return figures.lost + figures.duplicated + figures.reordered + figures.failed === 0 && figures.acked > 0;
  } catch (error) {
    console.error(fleet.explain());
    throw error;
  } finally {
    await fleet.stopAll();
    await network.close();
  }
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const { values } = parseArgs({ args, options: { cuts: { type: "string" } } });
  const cutsS = values.cuts === undefined ? CUTS_S : values.cuts.split(",").map(Number);
  if (!cutsS.every((seconds) => seconds > 0)) throw unusable("CUTS", values.cuts ?? "", "it is seconds, as 5,12");
  if (!isInPrivateNetwork()) return await runInPrivateNetwork(import.meta.filename, args);
  endWhenInterrupted();
  return (await run(cutsS)) ? 0 : 1;
}

try {
  process.exit(await main());
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
