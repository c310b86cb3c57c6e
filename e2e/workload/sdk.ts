// SPDX-License-Identifier: Apache-2.0
import { type ImClient, ImClientError, type ImClientOptions, MemoryStore, ImClient as OurClient } from "#client";
import { httpTransport, nodeFetch, tcpTransport, wsTransport } from "../../client/src/node.ts";

/** What a workload needs of an SDK: ours, or that of an older build. */
export interface Sdk {
  ImClient: new (options: ImClientOptions) => ImClient;
  ImClientError: typeof ImClientError;
  MemoryStore: typeof MemoryStore;
  tcpTransport: typeof tcpTransport;
  wsTransport: typeof wsTransport;
  httpTransport: typeof httpTransport;
  nodeFetch: typeof nodeFetch;
}

/** The one of this tree. */
export const OUR_SDK: Sdk = {
  ImClient: OurClient,
  ...{ ImClientError, MemoryStore, tcpTransport, wsTransport, httpTransport, nodeFetch },
};
