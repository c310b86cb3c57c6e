// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";
import { tenantOf } from "#lib/tenant.ts";

/** Tenants with a value of their own: a label is a time series for each. */
export const MAX_LABELLED_TENANTS = 50;
/** No tenant can be called so. */
export const DEFAULT_LABEL = "_default";
export const OTHER_LABEL = "_other";

/** Counts by tenant, of which the first {@link MAX_LABELLED_TENANTS} are told apart until the process ends. */
export class TenantCounts {
  #ofDefault = 0;
  #ofOthers = 0;
  readonly #byTenant = new Map<string, number>();

  /** @param userId internal id of the one who is counted */
  add(userId: string): void {
    const tenant = tenantOf(userId);
    if (tenant === "") {
      this.#ofDefault++;
      return;
    }
    const known = this.#byTenant.get(tenant);
    if (known !== undefined || this.#byTenant.size < MAX_LABELLED_TENANTS) this.#byTenant.set(tenant, (known ?? 0) + 1);
    else this.#ofOthers++;
  }

  /** By label; `_other` only when there are more tenants than labels. */
  read(): Record<string, number> {
    const read: Record<string, number> = { [DEFAULT_LABEL]: this.#ofDefault, ...Object.fromEntries(this.#byTenant) };
    if (this.#ofOthers > 0) read[OTHER_LABEL] = this.#ofOthers;
    return read;
  }
}

/** Registers a counter with the label `tenant`. */
export function tenantCounter(metrics: Metrics, name: string, help: string): TenantCounts {
  const counts = new TenantCounts();
  metrics.countersOf(name, help, "tenant", () => counts.read());
  return counts;
}
