// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Kube, KubeError, type KubeObject } from "../kube.ts";
import { NODES, type NodeLayout, STORAGE_CLASS } from "../layout.ts";
import { PROVISIONER } from "../manifests.ts";
import type { Collection } from "./collection.ts";

/** The scheduler writes the node it chose here, for classes that wait for the first consumer. */
const SELECTED_NODE = "volume.kubernetes.io/selected-node";
const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";

export interface Claim extends KubeObject {
  spec: {
    storageClassName?: string;
    volumeName?: string;
    accessModes?: string[];
    resources?: { requests?: { storage?: string } };
  };
  status?: { phase?: string };
}

export interface Volume extends KubeObject {
  spec: { persistentVolumeReclaimPolicy?: string; local?: { path: string } };
  status?: { phase?: string };
}

/** Folder of a volume on its node. */
const volumeFolder = (node: NodeLayout, name: string): string => join(node.folder, "volumes", name);

/** The volume that a pending claim of our class gets; undefined while there is nothing to do for it. Pure. */
export function planVolume(
  claim: Claim,
  nodes: readonly NodeLayout[],
): { volume: KubeObject; folder: string } | undefined {
  const node = nodes.find((candidate) => candidate.name === claim.metadata.annotations?.[SELECTED_NODE]);
  const isPending = !claim.spec.volumeName && !claim.metadata.deletionTimestamp;
  if (claim.spec.storageClassName !== STORAGE_CLASS || !isPending || !node || !claim.metadata.uid) return undefined;
  const name = `pvc-${claim.metadata.uid}`;
  const folder = volumeFolder(node, name);
  const { namespace, name: claimName, uid } = claim.metadata;
  const volume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, annotations: { [PROVISIONED_BY]: PROVISIONER } },
    spec: {
      capacity: { storage: claim.spec.resources?.requests?.storage ?? "1Gi" },
      accessModes: claim.spec.accessModes ?? ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Delete",
      storageClassName: STORAGE_CLASS,
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name: claimName, uid },
      local: { path: folder },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node.name] }] },
          ],
        },
      },
    },
  };
  return { volume, folder };
}

/** A volume of ours whose claim is gone and whose policy is to go with it. */
export function isReclaimable(volume: Volume): boolean {
  const isOurs = volume.metadata.annotations?.[PROVISIONED_BY] === PROVISIONER;
  const isReleased = volume.status?.phase === "Released" && !volume.metadata.deletionTimestamp;
  return isOurs && isReleased && volume.spec.persistentVolumeReclaimPolicy === "Delete";
}

/** Makes a folder on the chosen node for every claim of the storage class, and removes it with the claim. */
export class Storage {
  readonly #kube: Kube;
  readonly #claims: Collection<Claim>;
  readonly #volumes: Collection<Volume>;
  readonly #log: (text: string) => void;

  constructor(o: { kube: Kube; claims: Collection<Claim>; volumes: Collection<Volume>; log: (text: string) => void }) {
    this.#kube = o.kube;
    this.#claims = o.claims;
    this.#volumes = o.volumes;
    this.#log = o.log;
  }

  async reconcile(): Promise<void> {
    if (!this.#claims.isSynced || !this.#volumes.isSynced) return;
    const existing = new Set(this.#volumes.values().map((volume) => volume.metadata.name));
    for (const claim of this.#claims.values()) {
      const plan = planVolume(claim, NODES());
      if (plan && !existing.has(plan.volume.metadata.name)) await this.#create(plan.volume, plan.folder);
    }
    for (const volume of this.#volumes.values()) if (isReclaimable(volume)) await this.#remove(volume);
  }

  async #create(volume: KubeObject, folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    // Any user may write: which one a pod runs as is not known here.
    chmodSync(folder, 0o777);
    try {
      await this.#kube.call("POST", "/api/v1/persistentvolumes", volume);
      this.#log(`volume ${volume.metadata.name} made in ${folder}`);
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 409)) throw error;
    }
  }

  async #remove(volume: Volume): Promise<void> {
    const { name } = volume.metadata;
    // The folder is computed, not read from the object, so that no edited object can name another one.
    for (const node of NODES()) rmSync(volumeFolder(node, name), { recursive: true, force: true });
    await this.#kube.delete(`/api/v1/persistentvolumes/${name}`);
    this.#log(`volume ${name} removed`);
  }
}
