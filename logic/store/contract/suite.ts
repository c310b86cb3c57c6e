// SPDX-License-Identifier: Apache-2.0
// The contract suite: what every Store must do, run on memory and on real PostgreSQL.
import { contentContract, membershipContract, numberingContract } from "./append.ts";
import { blockContract, blockSightContract } from "./blocks.ts";
import {
  broadcastContract,
  broadcastForceContract,
  broadcastListContract,
  broadcastPruneContract,
  broadcastReaderContract,
  broadcastTopicContract,
} from "./broadcasts.ts";
import { cardContract, changeContract, changeRepeatContract, changeRightsContract, pressContract } from "./changes.ts";
import {
  busyContactContract,
  changedContactContract,
  contactChangesContract,
  contactListContract,
  conversationBatchContract,
  conversationDeleteContract,
  conversationStateContract,
} from "./conversations.ts";
import { deviceContract } from "./device.ts";
import { entryContract } from "./entry.ts";
import { epochContract, epochNamesContract } from "./epoch.ts";
import { exportContract, ownExportContract } from "./exports.ts";
import type { ContractStore } from "./fixture.ts";
import {
  erasedAccountContract,
  erasedIdContract,
  erasureContract,
  erasureRequestContract,
  legalHoldContract,
} from "./governance.ts";
import {
  groupChangesContract,
  groupHistoryContract,
  groupMembersContract,
  groupRequestsContract,
  groupSightsContract,
} from "./groups.ts";
import { hiddenChangeContract, hiddenContract } from "./hidden.ts";
import { historyContract, snapshotContract } from "./history.ts";
import {
  hookDeadContract,
  hookFactContract,
  hookLeaseContract,
  hookMessageContract,
  hookPresenceContract,
  hookPruneContract,
  hookReportContract,
  hookRewindContract,
} from "./hooks.ts";
import { deviceProfileContract, loginAgeContract, slotContract } from "./identity.ts";
import { headContract, pageContract, pageIntoContract, pagingContract } from "./inbox.ts";
import { largeGroupContract, largeGroupListContract, largeGroupMessageChangeContract } from "./large-groups.ts";
import { erasedEventsContract, erasedLeftoversContract, erasedReportsContract } from "./leftovers.ts";
import { muteContract } from "./mutes.ts";
import { policyContract } from "./policy.ts";
import { pushContactContract, pushLimitContract, pushStepContract, pushSubjectContract } from "./push.ts";
import { pushLeaseContract, pushLeaseRaceContract } from "./push-leases.ts";
import { pushContract } from "./pushes.ts";
import { batchRepeatContract, resendContract } from "./repeat.ts";
import { revocationContract } from "./revocation.ts";
import { apiAuditContract, apiKeyContract, apiRequestContract } from "./server-api.ts";
import {
  boundedConversationContract,
  itemConversationContract,
  itemPeopleContract,
  peerConversationContract,
  toldSubjectContract,
} from "./subjects.ts";
import { traceContract } from "./traces.ts";
import { visiblePeersContract } from "./visible-peers.ts";

const PARTS = [
  numberingContract,
  broadcastContract,
  broadcastForceContract,
  broadcastListContract,
  broadcastReaderContract,
  broadcastTopicContract,
  broadcastPruneContract,
  membershipContract,
  contentContract,
  resendContract,
  batchRepeatContract,
  pageContract,
  pagingContract,
  pageIntoContract,
  headContract,
  historyContract,
  snapshotContract,
  deviceContract,
  visiblePeersContract,
  itemConversationContract,
  boundedConversationContract,
  itemPeopleContract,
  peerConversationContract,
  toldSubjectContract,
  groupMembersContract,
  groupHistoryContract,
  groupChangesContract,
  groupRequestsContract,
  groupSightsContract,
  slotContract,
  deviceProfileContract,
  loginAgeContract,
  revocationContract,
  entryContract,
  pushContract,
  pushContactContract,
  pushStepContract,
  pushSubjectContract,
  pushLeaseContract,
  pushLeaseRaceContract,
  pushLimitContract,
  traceContract,
  conversationStateContract,
  conversationBatchContract,
  conversationDeleteContract,
  contactListContract,
  contactChangesContract,
  busyContactContract,
  changedContactContract,
  muteContract,
  apiKeyContract,
  apiRequestContract,
  apiAuditContract,
  changeContract,
  changeRepeatContract,
  changeRightsContract,
  cardContract,
  pressContract,
  hiddenContract,
  hiddenChangeContract,
  blockContract,
  blockSightContract,
  largeGroupContract,
  largeGroupListContract,
  largeGroupMessageChangeContract,
  erasureContract,
  erasedAccountContract,
  erasedIdContract,
  erasedLeftoversContract,
  erasedReportsContract,
  erasedEventsContract,
  erasureRequestContract,
  legalHoldContract,
  hookMessageContract,
  hookFactContract,
  hookLeaseContract,
  hookDeadContract,
  hookRewindContract,
  hookPruneContract,
  hookPresenceContract,
  hookReportContract,
  policyContract,
  exportContract,
  ownExportContract,
  // Logins have other numbers after it.
  epochContract,
  epochNamesContract,
];

/** Registers all contract tests for the store that `store()` returns while they run. */
export function storeContract(store: () => ContractStore): void {
  for (const part of PARTS) part(store);
}
