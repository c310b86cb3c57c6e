// SPDX-License-Identifier: Apache-2.0
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";

/** Folder whose programs the tests run: the sources, or what `IM_TEST_BUILD` names, such as `node scripts/bundle/main.ts` writes. */
export const testedBuild = (): string => process.env.IM_TEST_BUILD || PROJECT_ROOT;
