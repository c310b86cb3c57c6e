// SPDX-License-Identifier: Apache-2.0
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { FleetClient } from "../../operator/imcluster/fleet-client.ts";
import type { Fleet } from "../harness/fleet.ts";

/** Without mutual TLS, as the fleet. */
const WHO = { clusterUid: "skew", tls: undefined };
const CLIENTS_TO_MOVE = 2;
const MAX_TRIES = 10;
const RETRY_MS = 500;

/** What an operator of one version asked, and how much of it was answered. */
export interface Operated {
  asked: number;
  answered: number;
}

/** Asks every entry and every logic how it is, and the second entry to have two clients move. */
export async function operate(fleet: Fleet, Client: typeof FleetClient, number: number): Promise<Operated> {
  const answers: boolean[] = [];
  const ask = async (
    ports: { entry: number; logic: number },
    question: (client: FleetClient) => Promise<unknown>,
  ): Promise<void> => {
    const client = new Client({ clock: systemClock, log: silentLogger, ports });
    try {
      answers.push(await isAnswered(() => question(client)));
    } finally {
      client.close();
    }
  };
  for (const { controlPort, podUid } of fleet.entries)
    await ask({ entry: controlPort, logic: 0 }, (client) => client.status(WHO, podOf(podUid)));
  for (const target of fleet.logicTargets)
    await ask({ entry: 0, logic: Number(target.split(":").at(-1)) }, (client) => client.logicStatus(WHO, podOf("l")));
  const { controlPort, podUid } = fleet.entry(1);
  const lease = { number, connections: CLIENTS_TO_MOVE, afterMs: 0, spreadMs: 200, ttlMs: 1000 };
  await ask({ entry: controlPort, logic: 0 }, (client) => client.shed(WHO, podOf(podUid), { lease, endpoints: [] }));
  return { asked: answers.length, answered: answers.filter(Boolean).length };
}

/** The operator asks again, too: its deadlines are short, and a loaded machine is slow. */
async function isAnswered(question: () => Promise<unknown>): Promise<boolean> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if ((await question()) !== undefined) return true;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return false;
}

function podOf(uid: string) {
  return { metadata: { name: "pod", uid }, spec: { containers: [] }, status: { podIP: "127.0.0.1" } };
}
