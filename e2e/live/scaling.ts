// SPDX-License-Identifier: Apache-2.0
// Scenarios in which people change the number of entries or the version.
import type { DrainStatus } from "../../operator/api/v1alpha1.ts";
import { ENTRIES, PACE } from "./pace.ts";
import { must, type Scenario, type Stage } from "./scenario.ts";
import type { LiveSite } from "./site.ts";

const SOAK = "15s";
/** Too little for Node.js to start. */
const TOO_LITTLE_MEMORY = "16Mi";

/** Drains that are not in `before`. */
async function drainsSince(site: LiveSite, before: readonly DrainStatus[]): Promise<DrainStatus[]> {
  const known = new Set(before.map(({ id }) => id));
  return (await site.drains()).filter(({ id }) => !known.has(id));
}

/** So many entries were drained since, and none left a route behind. */
export async function mustBeReleased(site: LiveSite, before: readonly DrainStatus[], count: number): Promise<void> {
  const released = (await drainsSince(site, before)).filter(({ phase }) => phase === "Released");
  must(released.length >= count, `${released.length} entries were drained, not ${count}: ${JSON.stringify(released)}`);
  const left = released.filter(({ routesLeft = 0 }) => routesLeft > 0);
  must(left.length === 0, `drains left routes: ${JSON.stringify(left)}`);
}

const scale: Scenario = {
  name: "scale",
  limits: { reconnectsPerClient: 1, offlineP99Ms: 5000 },
  async run({ site }) {
    await site.scale(6);
    await site.settled("six entries");
    const before = await site.drains();
    await site.scale(2);
    await site.settled("two entries");
    await mustBeReleased(site, before, 4);
    await site.scale(ENTRIES);
    await site.settled();
  },
};

async function upgrade({ site, say }: Stage, update: object): Promise<void> {
  const image = await site.nextImage();
  say(`the new version is ${image}`);
  const before = await site.entries();
  await site.patch({ image, entry: { update } });
  await site.settled("all entries are of the new version");
  const entries = await site.entries();
  const old = entries.filter((pod) => pod.image !== image || before.some(({ uid }) => uid === pod.uid));
  must(old.length === 0, `still of the old version: ${old.map(({ name }) => name).join(", ")}`);
}

const blueGreen: Scenario = {
  name: "upgrade-bluegreen",
  limits: { reconnectsPerClient: 1, offlineP99Ms: 5000 },
  run: (stage) => upgrade(stage, { strategy: "BlueGreen" }),
};

const batched: Scenario = {
  name: "upgrade-batched",
  limits: { reconnectsPerClient: 1, offlineP99Ms: 5000 },
  run: (stage) => upgrade(stage, { strategy: "Batched", batch: "1" }),
};

const canary: Scenario = {
  name: "canary-fails",
  limits: { reconnectsPerClient: 0, offlineP99Ms: 0 },
  async run({ site, say }) {
    const uidsOf = async (): Promise<string> =>
      (await site.entries())
        .map(({ uid }) => uid)
        .sort()
        .join();
    const before = await uidsOf();
    const update = { strategy: "BlueGreen", canary: { entries: 1, soak: SOAK } };
    await site.patch({ entry: { update, resources: { limits: { memory: TOO_LITTLE_MEMORY } } } });
    const blocked = await site.until("the update is given up", async () => {
      const found = await site.condition("UpdateBlocked");
      return found?.status === "True" && found.reason === "CanaryFailed" ? found : undefined;
    });
    say(blocked.message);
    await site.until("the canary is gone", async () => ((await uidsOf()) === before ? true : undefined));
    await site.patch({ entry: { update: { canary: null }, resources: null } });
    await site.settled();
    must((await uidsOf()) === before, "entries of the old version were replaced");
  },
};

/** A drain is called off, one is not any more, and an update is taken back half way. */
const changeOfMind: Scenario = {
  name: "change-of-mind",
  limits: { reconnectsPerClient: 3, offlineP99Ms: 5000 },
  async run({ site, say }) {
    const before = await site.drains();
    await site.patch({ entry: { replicas: 2, drain: { lbDetach: "15s" } } });
    const early = await site.newDrain(before, "an entry is cordoned", ({ phase }) => phase !== "Planned");
    must(early.abortable === true, `the drain is past calling off: ${JSON.stringify(early)}`);
    await site.patch({ entry: { replicas: ENTRIES, drain: { lbDetach: PACE.drain.lbDetach } } });
    await site.settled("the drain is called off");
    const aborted = (await site.drains()).find(({ id }) => id === early.id);
    must(aborted?.phase === "Aborted", `the drain was not called off: ${JSON.stringify(aborted)}`);
    await site.scale(2);
    const late = await site.newDrain(before, "clients are asked", ({ phase }) => phase === "Draining");
    await site.scale(ENTRIES);
    await site.settled("another entry in the place of the drained one");
    must(!(await site.entries()).some(({ name }) => name === late.pod), `${late.pod} is still there`);
    await changeUpdate({ site, say });
  },
};

async function changeUpdate({ site, say }: Pick<Stage, "site" | "say">): Promise<void> {
  const { image: first } = (await site.imCluster()).status ?? {};
  must(first !== undefined, "the status names no image");
  for (const image of [await site.nextImage(), await site.nextImage()]) {
    await site.patch({ image, entry: { update: { strategy: "BlueGreen" } } });
    say(`updating to ${image}`);
    await site.until(`an entry of ${image}`, async () =>
      (await site.entries()).some((pod) => pod.image === image) ? true : undefined,
    );
  }
  await site.patch({ image: first });
  await site.settled("the first version again");
  const entries = await site.entries();
  must(entries.length === ENTRIES && entries.every(({ image }) => image === first), "not all are of the first version");
}

export const SCALING: readonly Scenario[] = [scale, blueGreen, batched, canary, changeOfMind];
