// SPDX-License-Identifier: Apache-2.0
import { demoAccess } from "../../scripts/up/demo.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { pushSandboxLog } from "../../scripts/up/push-sandbox.ts";
import { shopAccess } from "../../scripts/up/shop.ts";
import { openTunnel } from "../../scripts/up/tunnel.ts";
import { callApi } from "../process/api-caller.ts";
import { parsePushLog } from "../smoke/pushes.ts";
import type { MarketSite } from "./site.ts";

const API_PORT = 8090;
/** The node's clock, by which its logs are cut, may differ from ours. */
const CLOCKS_APART_MS = 60_000;

/** A {@link MarketSite} and its end. */
export interface OpenMarketSite extends MarketSite {
  readonly address: string;
  close(): void;
}

/** The walk's site on the running demo: clients by the load balancer, the shop's backend by a tunnel to the server API. */
export async function clusterSite(tools: KubeTools): Promise<OpenMarketSite> {
  const startedMs = performance.now();
  const [access, { apiKey: key, cardKey }] = await Promise.all([demoAccess(tools), shopAccess(tools)]);
  const { address, mintToken } = access;
  const trust = { ca: access.caPem, servername: access.serverName };
  const tunnel = await openTunnel(tools, "svc/demo-api", API_PORT);
  return {
    address,
    targets: [
      { url: `tls://${address}:443`, ...trust },
      { url: `wss://${address}:443/ws`, ...trust },
      { url: `sse+https://${address}:443`, ...trust },
    ],
    cardKey,
    getToken: mintToken,
    callApi: (call) => callApi(tunnel.port, { ...call, key }),
    async pushes() {
      const log = await pushSandboxLog(tools, performance.now() - startedMs + CLOCKS_APART_MS);
      if (log === undefined) throw new Error("this cluster's demo has no push sandbox: run `make up` again");
      return parsePushLog(log);
    },
    close: () => tunnel.close(),
  };
}
